// Services of a shard without a shard: notes what it is asked, and answers at once. A real shard answers in a later
// turn, which the API cannot tell apart.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/net/services.hpp"

namespace wsr::net::test {

class FakeServices : public Services {
public:
  struct Told {
    std::string from, to, data;
  };
  const ServerId& self() const override { return self_; }
  void send(const ClientId& from, const ClientId& to, std::string_view data, std::function<void(Sent)> reply) override {
    told.push_back({from.str(), to.str(), std::string(data)});
    const auto found = words.find(to.str());
    reply(found == words.end() ? Sent{Word::delivered, self_} : Sent{found->second, {}});
  }
  void lookup(const ClientId& who, std::function<void(Owners)> reply) override {
    Owners owners{result, {}};
    for (const auto& row : rows) {
      if (row.client == who) owners.rows.push_back(row);
    }
    reply(owners);
  }
  void page(std::string_view at, std::uint32_t count, std::function<void(OwnerPage)> reply) override {
    asked_cursor = at;
    asked_count = count;
    reply({result, rows, "17"});
  }
  void counts(std::function<void(OwnerCounts)> reply) override {
    reply({result, {{self_, 3}, {ServerId::trusted("web-2~a"), 4}}});
  }
  void servers(std::function<void(Servers)> reply) override {
    Servers servers{result, StoreTime(std::chrono::seconds(10)), {}};
    servers.rows.push_back({self_,
                            {"http://127.0.0.1:9090", 5, 2, 1, "3.1.4", std::chrono::seconds(6)},
                            StoreTime(std::chrono::seconds(9)),
                            ServerRow::Lease::held});
    reply(servers);
  }
  void kick(const Attachment& at, CloseCode code, std::string_view) override { kicked.emplace_back(at, code); }
  void join(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) override {
    joined.emplace_back(room.str(), client.str());
    reply(done);
  }
  void leave(const RoomName& room, const ClientId& client, std::function<void(RoomDone)> reply) override {
    left.emplace_back(room.str(), client.str());
    reply(done);
  }
  void push(const RoomName& room, const ClientId& from, std::string_view data, Echo echo,
            std::function<void(RoomPushed)> reply) override {
    told.push_back({from.str(), room.str(), std::string(data)});
    echoes.push_back(echo);
    reply(pushed);
  }
  void room_info(const RoomName&, std::function<void(RoomInfo)> reply) override {
    reply({result, 3, 77, {{self_, 2}, {ServerId::trusted("web-2~a"), 1}}});
  }
  void room_members(const RoomName&, std::string_view at, std::uint32_t count,
                    std::function<void(RosterPage)> reply) override {
    asked_cursor = at;
    asked_count = count;
    reply({result, {ClientId::trusted("ada"), ClientId::trusted("bob \"b\"")}, ">bob", 9, 78});
  }
  void room_member(const RoomName&, const ClientId& client, std::function<void(RoomInfo)> reply) override {
    reply({result, client.view() == "ada" ? 1U : 0U, 77, {}});
  }
  void rooms(std::string_view at, std::uint32_t count, std::function<void(RoomPage)> reply) override {
    asked_cursor = at;
    asked_count = count;
    reply({result, {{RoomName::trusted("chat:room:42"), 3}}, "0"});
  }
  WatchId watch(const RoomName&, RoomHandlers, std::function<void(Errc)>) override { return 0; }
  void unwatch(WatchId) override {}
  void stats(std::function<void(ServerStats)> reply) override {
    ServerStats stats;
    stats.routing.sent = 10;
    at(stats.routing.words, Word::delivered) = 6;
    at(stats.routing.words, Word::dropped_slow_consumer) = 3;
    stats.connections = 7;
    reply(stats);
  }
  void broadcast(std::string_view channel, std::string_view payload, std::function<void(Published)> reply) override {
    told.push_back({"", std::string(channel), std::string(payload)});
    reply({result, 2});
  }
  Readiness readiness() const override { return lights; }

  std::vector<Told> told;
  std::vector<std::pair<std::string, std::string>> joined, left;
  std::vector<Echo> echoes;
  RoomDone done{Errc::ok, 4, 79, {}};
  RoomPushed pushed{Errc::ok, 2, 5, 0, {}, {}};
  std::map<std::string, Word> words;
  std::vector<OwnerRow> rows;
  std::vector<std::pair<Attachment, CloseCode>> kicked;
  std::string asked_cursor;
  std::uint32_t asked_count = 0;
  Errc result = Errc::ok;
  Readiness lights{Readiness::Light::green, Readiness::Light::green, Readiness::Light::green};

private:
  ServerId self_ = ServerId::trusted("web-1~k3f9");
};

}  // namespace wsr::net::test
