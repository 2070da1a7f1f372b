# wsr_warnings: what every target of ours is compiled with. BUILD_INTERFACE: a user of the installed package keeps their own.
add_library(wsr_warnings INTERFACE)
set(wsr_warning_flags -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside std::string and std::variant copies it has inlined (GCC bugs 105329, 105593).
  list(APPEND wsr_warning_flags -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-array-bounds)
  # Without it ccache cannot cache a file that uses a precompiled header.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()
target_compile_options(wsr_warnings INTERFACE $<BUILD_INTERFACE:${wsr_warning_flags}>)
if(WSR_SANITIZE)
  add_compile_options(-fsanitize=${WSR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${WSR_SANITIZE})
  if(WSR_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Asio orders io_context's queues with a fence that g++ cannot instrument and says so; its mutexes are instrumented.
    target_compile_options(wsr_warnings INTERFACE $<BUILD_INTERFACE:-Wno-tsan>)
  endif()
endif()
