#include "core/routing/session_table.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

using namespace wsr;

namespace {
const ClientId ada = ClientId::trusted("ada");
const ClientId bob = ClientId::trusted("bob");
}  // namespace

TEST_CASE("a connection id is found only while its own session lives, also when the slot is used again") {
  OutboxRules rules;
  SessionTable table(10);
  const ConnId first = table.open(ada, Framing::raw, rules)->id;
  table.close(*table.find(first));
  const ConnId second = table.open(bob, Framing::raw, rules)->id;
  CHECK(first.slot() == second.slot());
  CHECK(first != second);
  CHECK(table.find(first) == nullptr);
  REQUIRE(table.find(second) != nullptr);
  CHECK(table.find(second)->client == bob);
}

TEST_CASE("the bound refuses one connection more and takes one again after a close") {
  OutboxRules rules;
  SessionTable table(2);
  const ConnId id = table.open(ada, Framing::raw, rules)->id;
  REQUIRE(table.open(ada, Framing::raw, rules) != nullptr);
  CHECK(table.open(ada, Framing::raw, rules) == nullptr);
  CHECK(table.size() == 2);
  table.close(*table.find(id));
  CHECK(table.open(bob, Framing::raw, rules) != nullptr);
}

TEST_CASE("a client whose only session is closing is not here") {
  OutboxRules rules;
  SessionTable table(2);
  Session* session = table.open(ada, Framing::raw, rules);
  CHECK(table.is_here("ada"));
  session->phase = Session::Phase::closing;
  CHECK_FALSE(table.is_here("ada"));
  CHECK_FALSE(table.is_here("bob"));
}

TEST_CASE("a client's sessions are chained from the newest to the oldest, whichever closes") {
  OutboxRules rules;
  std::mt19937 random(3);
  SessionTable table(1000);
  std::map<std::string, std::vector<ConnId>> truth;  // oldest first
  const std::vector<std::string> names{"a", "b", "c"};
  for (int step = 0; step < 5000; ++step) {
    const std::string& name = names[random() % names.size()];
    auto& open = truth[name];
    if (open.size() < 6 && random() % 2 == 0) {
      open.push_back(table.open(ClientId::trusted(name), Framing::raw, rules)->id);
    } else if (!open.empty()) {
      const auto which = open.begin() + static_cast<std::ptrdiff_t>(random() % open.size());
      table.close(*table.find(*which));
      open.erase(which);
    }
    std::vector<ConnId> chain;
    for (Session* s = table.newest(name); s != nullptr; s = table.next(*s)) chain.insert(chain.begin(), s->id);
    REQUIRE(chain == open);
  }
}
