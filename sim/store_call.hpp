// StoreRequest: one call of a server to the store or its tables, as data, so that it can be under way, be carried out
// late, be carried out on a replica too, and be looked at by the checkers.
//
// Thread-safety: plain data and pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "core/store/backend.hpp"

namespace wsr::sim {

struct TableCall {  // of the Tables port: what it brings is a function to be called at the server
  using Deliver = std::function<void(std::function<void()>)>;
  std::function<void(Tables&, Deliver)> call;
  std::function<void()> fail;
};

template <class Variant, class... More>
struct Extended;
template <class... Calls, class... More>
struct Extended<std::variant<Calls...>, More...> {
  using Type = std::variant<Calls..., More...>;
};
/// The store's calls, at their places, and those of its tables.
using StoreRequest = Extended<StoreCall, TableCall>::Type;
[[nodiscard]] StoreRequest request_of(StoreCall&& call);

struct CallParcel {
  Ticket ticket;
  StoreRequest request;
};

/// Carries it out on a backend; its answer goes to the backend's sink, that of a TableCall to `deliver`.
void carry_out(Backend& backend, const CallParcel& call, const TableCall::Deliver& deliver);
/// What the trace's hash knows a request by.
[[nodiscard]] std::uint64_t trace_number(const StoreRequest& request);
/// False for calls that only read.
[[nodiscard]] bool is_change(const StoreRequest& request);
/// Calls of the subscriber's connection; all others go over the command connection.
[[nodiscard]] bool is_of_subscriber(const StoreRequest& request);
/// For traces: `claim c7 at s2`.
[[nodiscard]] std::string describe(const StoreRequest& request);
[[nodiscard]] std::string describe(const Answer& answer);
/// How many bytes it takes on the wire, about.
[[nodiscard]] std::size_t bytes_of(const StoreRequest& request);

}  // namespace wsr::sim
