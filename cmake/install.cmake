# install + find_package(wsr): the libraries with their headers, the binary, the package files. Nothing installed names
# a path of the build or of the prefix, so the whole prefix can be moved.
include(CMakePackageConfigHelpers)
set(wsr_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/wsr)

foreach(layer wire base store routing memory redis net)
  set_target_properties(wsr_${layer} PROPERTIES EXPORT_NAME ${layer})
  # Below include/wsr: "core/wire/utf8.hpp" stays the include line, and a shared prefix gets no folder named core.
  install(TARGETS wsr_${layer} EXPORT wsrTargets
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/wsr)
endforeach()

# What the layers link by name, so that the exported targets are whole; none of these has a header of its own.
foreach(part warnings hiredis asio)
  if(TARGET wsr_${part})
    set_target_properties(wsr_${part} PROPERTIES EXPORT_NAME detail_${part})
    install(TARGETS wsr_${part} EXPORT wsrTargets)
  endif()
endforeach()

install(TARGETS wsr)
install(EXPORT wsrTargets NAMESPACE wsr:: DESTINATION ${wsr_package_dir})
configure_package_config_file(cmake/wsrConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/wsrConfig.cmake
  INSTALL_DESTINATION ${wsr_package_dir} NO_SET_AND_CHECK_MACRO)
# 0.x promises nothing between minor versions.
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/wsrConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/wsrConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/wsrConfigVersion.cmake
  cmake/FindHiredis.cmake DESTINATION ${wsr_package_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
