# What an error in memory would cost, made smaller: in optimised builds, where a process meets strangers. Sanitizers see
# more and want none of it. What it costs: docs/benchmarks.md.
#
#   -fstack-protector-strong   an overwritten return address ends the process
#   _FORTIFY_SOURCE=3          so does a C function that writes beyond an object whose size is known
#   _GLIBCXX_ASSERTIONS        and an index beyond a vector's, string's or span's end
#   -fstack-clash-protection   no frame jumps over the guard page
#   -fcf-protection            indirect jumps land where jumps may land (where the processor knows CET)
#   PIE, RELRO, BIND_NOW       addresses are drawn at the start; no table of functions can be written to afterwards
option(WSR_HARDEN "Harden optimised builds" ON)
if(WSR_HARDEN AND NOT WSR_SANITIZE AND CMAKE_BUILD_TYPE MATCHES "^(Release|RelWithDebInfo|MinSizeRel)$")
  include(CheckCXXCompilerFlag)
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "WSR_HAS${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(${known})
      add_compile_options(${flag})
    endif()
  endforeach()
  # Undefined first: some distributions' compilers define it themselves.
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS)
  include(CheckPIESupported)
  check_pie_supported(LANGUAGES CXX)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
