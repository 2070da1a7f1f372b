// StoreCall: one call of a server to the store, as data, so that it can be under way, be carried out late, be carried
// out on a replica too, and be looked at by the checkers.
//
// Thread-safety: plain data and pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "core/routing/backend.hpp"

namespace wsr::sim {

struct ReleaseCall {
  ClientId client;
  Attachment at;
};
struct LookupCall {
  ClientId client;
};
struct OwnerPageCall {
  std::string cursor;
  std::uint32_t count = 0;
};
struct CountsCall {};
struct HeldCall {
  ServerId server;
  std::string cursor;
  std::uint32_t count = 0;
};
struct MissingCall {
  Held expected;
};
struct RenewCall {
  ServerId server;
  ServerInfo info;
  std::chrono::milliseconds lease{};
};
struct ResignCall {
  ServerId server;
};
struct ServersCall {};
struct SweepCall {
  ServerId dead, by;
};
struct PublishCall {
  Channel channel;
  std::string payload;
};
struct SubscribeCall {
  Channel channel;
  Match match = Match::exact;
};
struct UnsubscribeCall {
  Channel channel;
  Match match = Match::exact;
};
struct DropCall {
  RoomName room;
  ClientId client;
  Attachment at;
};
struct RosterPageCall {
  RoomName room;
  std::string cursor;
  std::uint32_t count = 0;
};
struct RoomInfoCall {
  RoomName room;
};
struct FindCall {
  RoomName room;
  ClientId client;
};
struct RoomsCall {
  std::string cursor;
  std::uint32_t count = 0;
};
struct TakeCall {
  RateKey key;
  RateLimit limit;
};
struct TableCall {  // of the Tables port: what it brings is a function to be called at the server
  using Deliver = std::function<void(std::function<void()>)>;
  std::function<void(Tables&, Deliver)> call;
  std::function<void()> fail;
};

using StoreRequest = std::variant<std::monostate, PublishCall, LookupCall, ClaimRequest, ReleaseCall, RenewCall,
                                  ServersCall, SweepCall, ResignCall, OwnerPageCall, CountsCall, SubscribeCall,
                                  UnsubscribeCall, JoinRequest, LeaveRequest, DropCall, RosterPageCall, RoomInfoCall,
                                  FindCall, RoomsCall, TakeCall, HeldCall, MissingCall, TableCall>;

struct StoreCall {
  Ticket ticket;
  StoreRequest request;
};

/// Carries it out on a backend; its answer goes to the backend's sink, that of a TableCall to `deliver`.
void carry_out(Backend& backend, const StoreCall& call, const TableCall::Deliver& deliver);
/// The answer to a call that was not answered, by its place in StoreRequest. None for a TableCall.
[[nodiscard]] std::optional<Answer> failed(std::size_t request_index, Errc result);
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
