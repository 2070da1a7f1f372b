#include "sim/store_call.hpp"

#include <fmt/format.h>

#include <optional>
#include <type_traits>
#include <utility>

namespace wsr::sim {
namespace {

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

}  // namespace

void carry_out(Backend& backend, const StoreCall& call, const TableCall::Deliver& deliver) {
  const Ticket t = call.ticket;
  std::visit(Overload{
                 [](const std::monostate&) {},
                 [&](const PublishCall& c) { backend.bus().publish(t, c.channel, c.payload); },
                 [&](const LookupCall& c) { backend.directory().lookup(t, c.client); },
                 [&](const ClaimRequest& c) { backend.directory().claim(t, c); },
                 [&](const ReleaseCall& c) { backend.directory().release(t, c.client, c.at); },
                 [&](const RenewCall& c) { backend.directory().renew(t, c.server, c.info, c.lease); },
                 [&](const ServersCall&) { backend.directory().servers(t); },
                 [&](const SweepCall& c) { backend.directory().sweep(t, c.dead, c.by); },
                 [&](const ResignCall& c) { backend.directory().resign(t, c.server); },
                 [&](const OwnerPageCall& c) { backend.directory().page(t, c.cursor, c.count); },
                 [&](const CountsCall&) { backend.directory().counts(t); },
                 [&](const HeldCall& c) { backend.directory().held(t, c.server, c.cursor, c.count); },
                 [&](const MissingCall& c) { backend.directory().missing(t, c.expected); },
                 [&](const SubscribeCall& c) { backend.bus().subscribe(t, c.channel, c.match); },
                 [&](const UnsubscribeCall& c) { backend.bus().unsubscribe(t, c.channel, c.match); },
                 [&](const JoinRequest& c) { backend.rosters().join(t, c); },
                 [&](const LeaveRequest& c) { backend.rosters().leave(t, c); },
                 [&](const DropCall& c) { backend.rosters().drop(t, c.room, c.client, c.at); },
                 [&](const RosterPageCall& c) { backend.rosters().page(t, c.room, c.cursor, c.count); },
                 [&](const RoomInfoCall& c) { backend.rosters().info(t, c.room); },
                 [&](const FindCall& c) { backend.rosters().find(t, c.room, c.client); },
                 [&](const RoomsCall& c) { backend.rosters().rooms(t, c.cursor, c.count); },
                 [&](const TakeCall& c) { backend.rates().take(t, c.key, c.limit); },
                 [&](const TableCall& c) { c.call(backend.tables(), deliver); },
             },
             call.request);
}

namespace {

template <class T>
struct AnswerTo;
#define WSR_ANSWERED_BY(CALL, ANSWER) \
  template <>                         \
  struct AnswerTo<CALL> {             \
    using Type = ANSWER;              \
  }
WSR_ANSWERED_BY(PublishCall, Published);
WSR_ANSWERED_BY(LookupCall, Owners);
WSR_ANSWERED_BY(ClaimRequest, Claimed);
WSR_ANSWERED_BY(ReleaseCall, Released);
WSR_ANSWERED_BY(RenewCall, Renewed);
WSR_ANSWERED_BY(ServersCall, Servers);
WSR_ANSWERED_BY(SweepCall, Swept);
WSR_ANSWERED_BY(ResignCall, Released);
WSR_ANSWERED_BY(OwnerPageCall, OwnerPage);
WSR_ANSWERED_BY(CountsCall, OwnerCounts);
WSR_ANSWERED_BY(HeldCall, Held);
WSR_ANSWERED_BY(MissingCall, Held);
WSR_ANSWERED_BY(SubscribeCall, Subscribed);
WSR_ANSWERED_BY(UnsubscribeCall, Unsubscribed);
WSR_ANSWERED_BY(JoinRequest, Joined);
WSR_ANSWERED_BY(LeaveRequest, Left);
WSR_ANSWERED_BY(DropCall, Left);
WSR_ANSWERED_BY(RosterPageCall, RosterPage);
WSR_ANSWERED_BY(RoomInfoCall, RoomInfo);
WSR_ANSWERED_BY(FindCall, RoomInfo);
WSR_ANSWERED_BY(RoomsCall, RoomPage);
WSR_ANSWERED_BY(TakeCall, Taken);
#undef WSR_ANSWERED_BY

template <std::size_t Index>
std::optional<Answer> failed_at(Errc result) {
  using Request = std::variant_alternative_t<Index, StoreRequest>;
  if constexpr (std::is_same_v<Request, std::monostate> || std::is_same_v<Request, TableCall>) {
    return std::nullopt;
  } else {
    typename AnswerTo<Request>::Type answer;
    answer.result = result;
    return Answer{std::move(answer)};
  }
}

template <std::size_t... Indices>
std::optional<Answer> failed_of(std::size_t index, Errc result, std::index_sequence<Indices...>) {
  static constexpr std::optional<Answer> (*makers[])(Errc) = {&failed_at<Indices>...};
  return makers[index](result);
}

}  // namespace

std::optional<Answer> failed(std::size_t request_index, Errc result) {
  return failed_of(request_index, result, std::make_index_sequence<std::variant_size_v<StoreRequest>>{});
}

bool is_change(const StoreRequest& request) {
  return !(std::holds_alternative<LookupCall>(request) || std::holds_alternative<ServersCall>(request) ||
           std::holds_alternative<OwnerPageCall>(request) || std::holds_alternative<CountsCall>(request) ||
           std::holds_alternative<RosterPageCall>(request) || std::holds_alternative<RoomInfoCall>(request) ||
           std::holds_alternative<FindCall>(request) || std::holds_alternative<RoomsCall>(request) ||
           std::holds_alternative<PublishCall>(request) || std::holds_alternative<HeldCall>(request) ||
           std::holds_alternative<MissingCall>(request) || is_of_subscriber(request));
}

bool is_of_subscriber(const StoreRequest& request) {
  return std::holds_alternative<SubscribeCall>(request) || std::holds_alternative<UnsubscribeCall>(request);
}

std::string describe(const StoreRequest& request) {
  return std::visit(
      Overload{
          [](const std::monostate&) { return std::string("nothing"); },
          [](const PublishCall& c) { return fmt::format("publish {} bytes to {}", c.payload.size(), c.channel.name); },
          [](const LookupCall& c) { return fmt::format("lookup {}", c.client.view()); },
          [](const ClaimRequest& c) {
            return fmt::format("claim {} for {}{}", c.client.view(), c.at.str(),
                               c.epoch_min.value != 0 ? " again" : "");
          },
          [](const ReleaseCall& c) { return fmt::format("release {} of {}", c.client.view(), c.at.str()); },
          [](const RenewCall& c) { return fmt::format("renew {} for {} ms", c.server.view(), c.lease.count()); },
          [](const ServersCall&) { return std::string("servers"); },
          [](const SweepCall& c) { return fmt::format("sweep {}", c.dead.view()); },
          [](const ResignCall& c) { return fmt::format("resign {}", c.server.view()); },
          [](const OwnerPageCall&) { return std::string("page of owners"); },
          [](const CountsCall&) { return std::string("counts"); },
          [](const HeldCall& c) { return fmt::format("what is held by {}", c.server.view()); },
          [](const MissingCall& c) { return fmt::format("which of {} rows are missing", c.expected.rows.size()); },
          [](const SubscribeCall& c) { return fmt::format("subscribe {}", c.channel.name); },
          [](const UnsubscribeCall& c) { return fmt::format("unsubscribe {}", c.channel.name); },
          [](const JoinRequest& c) {
            return fmt::format("join {} for {} at {}", c.room.view(), c.client.view(), c.at.str());
          },
          [](const LeaveRequest& c) { return fmt::format("leave {} for {}", c.room.view(), c.client.view()); },
          [](const DropCall& c) {
            return fmt::format("drop {} at {} from {}", c.client.view(), c.at.str(), c.room.view());
          },
          [](const RosterPageCall& c) { return fmt::format("members of {}", c.room.view()); },
          [](const RoomInfoCall& c) { return fmt::format("size of {}", c.room.view()); },
          [](const FindCall& c) { return fmt::format("is {} in {}", c.client.view(), c.room.view()); },
          [](const RoomsCall&) { return std::string("rooms"); },
          [](const TakeCall& c) { return fmt::format("take a token of {}", c.key.name); },
          [](const TableCall&) { return std::string("a table call"); },
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
