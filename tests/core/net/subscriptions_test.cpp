#include "core/net/subscriptions.hpp"

#include <catch2/catch.hpp>

using namespace wsr;
using namespace wsr::net;

TEST_CASE("a topic is subscribed with its first listener and unsubscribed with its last") {
  Subscriptions table;
  int heard = 0;
  const auto listen = [&](std::string_view, std::string_view) { ++heard; };
  const auto first = table.add({Match::exact, "news"}, listen);
  const auto second = table.add({Match::exact, "news"}, listen);
  CHECK(first.is_first);
  CHECK_FALSE(second.is_first);
  table.deliver("news", {}, "x");
  CHECK(heard == 2);
  CHECK_FALSE(table.remove(first.id));
  CHECK_FALSE(table.remove(first.id));
  CHECK(table.remove(second.id)->name == "news");
  table.deliver("news", {}, "x");
  CHECK(heard == 2);
}

TEST_CASE("a pattern and a channel of the same text are two topics") {
  Subscriptions table;
  std::string heard;
  (void)table.add({Match::exact, "a*"}, [&](std::string_view, std::string_view) { heard += "exact "; });
  (void)table.add({Match::pattern, "a*"}, [&](std::string_view channel, std::string_view) { heard += channel; });
  table.deliver("abc", "a*", "x");
  CHECK(heard == "abc");
}

TEST_CASE("a listener may go while it listens") {
  Subscriptions table;
  int heard = 0;
  SubscriptionId one = 0, two = 0;
  one = table.add({Match::exact, "news"}, [&](std::string_view, std::string_view) { ++heard, table.remove(two); }).id;
  two = table.add({Match::exact, "news"}, [&](std::string_view, std::string_view) { ++heard, table.remove(one); }).id;
  table.deliver("news", {}, "x");
  CHECK(heard == 1);
}
