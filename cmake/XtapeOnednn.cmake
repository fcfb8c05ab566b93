# Defines the target xtape::onednn where oneDNN is installed. Its own dnnl-config.cmake is no help:
# Debian's insists on OpenCL, which is for GPUs.
find_path(XTAPE_ONEDNN_INCLUDE dnnl.h)
find_library(XTAPE_ONEDNN_LIBRARY dnnl)
mark_as_advanced(XTAPE_ONEDNN_INCLUDE XTAPE_ONEDNN_LIBRARY)
if(XTAPE_ONEDNN_INCLUDE AND XTAPE_ONEDNN_LIBRARY AND NOT TARGET xtape::onednn)
  add_library(xtape::onednn UNKNOWN IMPORTED)
  set_target_properties(xtape::onednn PROPERTIES
    IMPORTED_LOCATION "${XTAPE_ONEDNN_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${XTAPE_ONEDNN_INCLUDE}")
endif()
