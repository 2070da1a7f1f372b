#include "core/routing/route_table.hpp"

#include <catch2/catch.hpp>

using namespace wsr;

namespace {
EntryMessage message(std::string_view data) { return EntryMessage{0, 0, false, "from", "to", data}; }
const auto any_may_go = [](const Route&) { return true; };
}  // namespace

TEST_CASE("at its bound the least recently used settled route is forgotten") {
  Limits limits;
  limits.owner_cache_max = 3;
  RouteTable table(limits);
  (void)table.make("a", any_may_go);
  (void)table.make("b", any_may_go);
  (void)table.make("c", any_may_go);
  (void)table.find("a");
  (void)table.make("d", any_may_go);
  CHECK(table.size() == 3);
  CHECK(table.find("b") == nullptr);
  CHECK(table.find("a") != nullptr);
}

TEST_CASE("a busy route and one with messages on their way are never forgotten") {
  Limits limits;
  limits.owner_cache_max = 2;
  RouteTable table(limits);
  table.make("busy", any_may_go).is_looking_up = true;
  (void)table.make("on its way", any_may_go);
  (void)table.make("new", [](const Route& route) { return route.client != "on its way"; });
  CHECK(table.size() == 3);
  CHECK(table.find("busy") != nullptr);
  CHECK(table.find("on its way") != nullptr);
}

TEST_CASE("a route's waiting messages are bounded in number and in bytes") {
  Limits limits;
  limits.route_messages_max = 2;
  RouteTable table(limits);
  Route& route = table.make("a", any_may_go);
  CHECK(table.wait(route, &Route::waiting, message("1"), Time{}) == RouteTable::Room::yes);
  CHECK(table.wait(route, &Route::returned, message("2"), Time{}) == RouteTable::Room::yes);
  CHECK(table.wait(route, &Route::waiting, message("3"), Time{}) == RouteTable::Room::no);
  CHECK(route.waiting.size() == 1);

  limits.route_messages_max = 100;
  limits.route_bytes_max = route.waiting_bytes + 50;
  CHECK(table.wait(route, &Route::waiting, message(std::string(100, 'x')), Time{}) == RouteTable::Room::no);
}
