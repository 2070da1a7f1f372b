#include "core/net/inlet.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <thread>

using namespace wsr::net;

TEST_CASE("an inlet hands over everything in the order of each pusher") {
  asio::io_context io{1};
  std::vector<std::vector<int>> seen(3);
  Inlet<std::pair<int, int>> inlet(io, [&](std::pair<int, int>&& item) { seen[item.first].push_back(item.second); });
  std::vector<std::thread> pushers;
  for (int who = 0; who < 3; ++who) {
    pushers.emplace_back([&inlet, who] {
      for (int i = 0; i < 2'000; ++i) inlet.push({who, i});
    });
  }
  for (auto& pusher : pushers) pusher.join();
  io.run();
  for (const auto& items : seen) {
    REQUIRE(items.size() == 2'000);
    CHECK(std::is_sorted(items.begin(), items.end()));
  }
}

TEST_CASE("a burst costs one post") {
  asio::io_context io{1};
  int taken = 0;
  Inlet<int> inlet(io, [&](int&&) { ++taken; });
  for (int i = 0; i < 100; ++i) inlet.push(i);
  CHECK(io.run_one() == 1);
  CHECK(taken == 100);
  CHECK(io.poll() == 0);
}

TEST_CASE("an inlet that is destroyed within its own burst takes nothing more") {
  asio::io_context io{1};
  int taken = 0;
  std::unique_ptr<Inlet<int>> inlet;
  inlet = std::make_unique<Inlet<int>>(io, [&](int&&) {
    ++taken;
    inlet.reset();
  });
  inlet->push(1);
  inlet->push(2);
  io.run();
  CHECK(taken == 1);
}
