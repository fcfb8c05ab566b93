# Defines the target xtape::zip where libzip is installed. Its own libzip-config.cmake is no help:
# Debian's insists on the command-line tools of another package.
find_path(XTAPE_ZIP_INCLUDE zip.h)
find_library(XTAPE_ZIP_LIBRARY zip)
mark_as_advanced(XTAPE_ZIP_INCLUDE XTAPE_ZIP_LIBRARY)
if(XTAPE_ZIP_INCLUDE AND XTAPE_ZIP_LIBRARY AND NOT TARGET xtape::zip)
  add_library(xtape::zip UNKNOWN IMPORTED)
  set_target_properties(xtape::zip PROPERTIES
    IMPORTED_LOCATION "${XTAPE_ZIP_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${XTAPE_ZIP_INCLUDE}")
endif()
