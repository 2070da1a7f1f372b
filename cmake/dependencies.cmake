# Everything comes from the distribution's packages; nothing is fetched. wsrConfig.cmake.in names the same versions.
list(PREPEND CMAKE_MODULE_PATH ${CMAKE_CURRENT_LIST_DIR})
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Boost 1.81 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 2.1 REQUIRED)
find_package(Hiredis REQUIRED)
find_package(spdlog 1.10 REQUIRED)  # of the program alone: the library has a port for it (core/routing/log_event.hpp)
# wsr_hiredis: the name that wsr_redis links; exported as a name too, never as a path of this machine.
add_library(wsr_hiredis INTERFACE)
target_link_libraries(wsr_hiredis INTERFACE hiredis::hiredis)
