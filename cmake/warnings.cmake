# wsr_warnings: what every target of ours is compiled with.
add_library(wsr_warnings INTERFACE)
target_compile_options(wsr_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside std::string and std::variant copies it has inlined (GCC bugs 105329, 105593).
  target_compile_options(wsr_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds)
endif()
if(WSR_SANITIZE)
  add_compile_options(-fsanitize=${WSR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WSR_SANITIZE})
endif()
