# install + find_package(wsr): the libraries with their headers, the binary, the package files.
