# Defines an imported target for an optional library where its header and itself are found. The
# libraries' own CMake packages are no help: Debian's oneDNN insists on OpenCL, which is for GPUs, its
# libzip on the command-line tools of another package.
#   xtape_optional(TARGET HEADER LIBRARY): xtape_optional(xtape::zip zip.h zip)
function(xtape_optional target header library)
  string(MAKE_C_IDENTIFIER ${library} name)
  find_path(XTAPE_${name}_INCLUDE ${header})
  find_library(XTAPE_${name}_LIBRARY ${library})
  mark_as_advanced(XTAPE_${name}_INCLUDE XTAPE_${name}_LIBRARY)
  if(XTAPE_${name}_INCLUDE AND XTAPE_${name}_LIBRARY AND NOT TARGET ${target})
    add_library(${target} UNKNOWN IMPORTED GLOBAL)
    set_target_properties(${target} PROPERTIES
      IMPORTED_LOCATION "${XTAPE_${name}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${XTAPE_${name}_INCLUDE}")
  endif()
endfunction()
