#include "sim/store_call.hpp"

#include <fmt/format.h>

#include <utility>

#include "core/base/overload.hpp"

namespace wsr::sim {
StoreRequest request_of(StoreCall&& call) {
  return std::visit([](auto& each) -> StoreRequest { return std::move(each); }, call);
}

void carry_out(Backend& backend, const CallParcel& call, const TableCall::Deliver& deliver) {
  std::visit(Overload{
                 [&](const TableCall& each) { each.call(backend.tables(), deliver); },
                 [&](const auto& each) { backend.call(call.ticket, StoreCall{each}); },
             },
             call.request);
}

std::uint64_t trace_number(const StoreRequest& request) {
  // The same however many calls there are, so that known hashes stay. A ResubscribeCall, which would have it too, is
  // the session's own affair and never gets to the store.
  constexpr std::uint64_t table_number = 23;
  return std::holds_alternative<TableCall>(request) ? table_number : request.index() + 1;
}

bool is_change(const StoreRequest& request) {
  return std::visit(Overload{
                        [](const TableCall&) { return true; },
                        [](const auto& each) { return each.effect == Effect::changes; },
                    },
                    request);
}

bool is_of_subscriber(const StoreRequest& request) {
  return std::visit(Overload{
                        [](const TableCall&) { return false; },
                        [](const auto& each) { return each.effect == Effect::subscribes; },
                    },
                    request);
}

std::string describe(const StoreRequest& request) {
  return std::visit(
      Overload{
          [](const PublishCall& c) { return fmt::format("publish {} bytes to {}", c.payload.size(), c.channel.name); },
          [](const LookupCall& c) { return fmt::format("lookup {}", c.client.view()); },
          [](const ClaimCall& c) {
            return fmt::format("claim {} for {}{}", c.client.view(), c.at.str(),
                               c.epoch_min.value != 0 ? " again" : "");
          },
          [](const ReleaseCall& c) { return fmt::format("release {} of {}", c.client.view(), c.at.str()); },
          [](const RenewCall& c) { return fmt::format("renew {} for {} ms", c.server.view(), c.lease.count()); },
          [](const SweepCall& c) { return fmt::format("sweep {}", c.dead.view()); },
          [](const ResignCall& c) { return fmt::format("resign {}", c.server.view()); },
          [](const HeldCall& c) { return fmt::format("what is held by {}", c.server.view()); },
          [](const MissingCall& c) { return fmt::format("which of {} rows are missing", c.expected.rows.size()); },
          [](const SubscribeCall& c) { return fmt::format("subscribe {}", c.channel.name); },
          [](const UnsubscribeCall& c) { return fmt::format("unsubscribe {}", c.channel.name); },
          [](const JoinCall& c) {
            return fmt::format("join {} for {} at {}", c.room.view(), c.client.view(), c.at.str());
          },
          [](const LeaveCall& c) { return fmt::format("leave {} for {}", c.room.view(), c.client.view()); },
          [](const DropCall& c) {
            return fmt::format("drop {} at {} from {}", c.client.view(), c.at.str(), c.room.view());
          },
          [](const RosterPageCall& c) { return fmt::format("members of {}", c.room.view()); },
          [](const RoomInfoCall& c) { return fmt::format("size of {}", c.room.view()); },
          [](const FindCall& c) { return fmt::format("is {} in {}", c.client.view(), c.room.view()); },
          [](const TakeCall& c) { return fmt::format("take a token of {}", c.key.name); },
          [](const TableCall&) { return std::string("a table call"); },
          [](const auto& c) { return std::string(c.name); },
      },
      request);
}

std::string describe(const Answer& answer) {
  const Errc result = std::visit([](const auto& a) { return a.result; }, answer);
  if (const auto* claimed = std::get_if<Claimed>(&answer)) {
    return fmt::format("{}, epoch {}, {} displaced", to_string(result), claimed->epoch.value,
                       claimed->displaced.size());
  }
  if (const auto* owners = std::get_if<Owners>(&answer)) {
    return fmt::format("{}, {}", to_string(result), owners->rows.empty() ? "nobody" : owners->rows.front().at.str());
  }
  if (const auto* published = std::get_if<Published>(&answer)) {
    return fmt::format("{}, {} receivers", to_string(result), published->receivers);
  }
  if (const auto* swept = std::get_if<Swept>(&answer)) {
    return fmt::format("{}, {} rows", to_string(result), swept->rows_removed);
  }
  return std::string(to_string(result));
}

std::size_t bytes_of(const StoreRequest& request) {
  if (const auto* publish = std::get_if<PublishCall>(&request)) return publish->payload.size() + 64;
  return 200;
}

}  // namespace wsr::sim
