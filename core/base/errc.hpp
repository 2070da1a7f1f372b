// Errors and results of the core. Expected outcomes are values; exceptions end a start-up, never a message.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace wsr {

enum class Errc : std::uint8_t {
  ok,
  bad_request,  // the input is wrong; the message says what
  not_found,
  superseded,   // a newer claim exists
  conflict,     // somebody else is doing it (a sweep), or a compare-and-set lost
  capacity,     // a bound is reached; the message names it and the flag that raises it
  unavailable,  // the store cannot be reached now; whether the call was carried out is unknown
  timeout,      // no answer within the deadline; whether the call was carried out is unknown
  forbidden,    // an authorizer or a rule refused
  offline,      // no server holds the client
  rate_limited,
  too_big,
  internal,
};

/// The word that logs, JSON and the command line use.
[[nodiscard]] std::string_view to_string(Errc code);

/// The store did not answer: whether the call was carried out is unknown, and making it again is safe.
[[nodiscard]] constexpr bool is_store_failure(Errc code) { return code == Errc::unavailable || code == Errc::timeout; }

struct Error {
  Errc code = Errc::internal;
  std::string message;  // a sentence: what, where, what to do instead
};

template <class T>
using Result = boost::system::result<T, Error>;

/// Lets Result<T>::value() throw where an exception is wanted (start-up, command line).
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw std::runtime_error(error.message);
}

}  // namespace wsr
