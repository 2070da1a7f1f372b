// A promise that a fuzzer checks: says which one broke, then stops where the fuzzer sees it.
#pragma once

#include <cstdio>
#include <cstdlib>

#define WSR_REQUIRE(promise)                                                     \
  do {                                                                           \
    if (!(promise)) {                                                            \
      std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
      std::abort();                                                              \
    }                                                                            \
  } while (false)
