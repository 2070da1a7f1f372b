// What the shell gets back, and the exceptions that main() turns into it.
#pragma once

#include <stdexcept>

namespace wsr::cli {

enum class ExitCode : int {
  ok = 0,       // delivered, queued, or asked for and done
  failure = 1,  // anything not named below
  usage = 2,    // an option or argument is wrong
  offline = 3,
  dropped = 4,
  unknown = 5,  // handed over, and its fate is not known
};

/// An option or a combination of options that cannot be; what() is a sentence.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace wsr::cli
