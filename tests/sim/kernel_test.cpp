// The kernel's parts: draws, the queue of events, histograms, and the small languages' quantities.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "sim/event_queue.hpp"
#include "sim/kernel.hpp"
#include "sim/metrics.hpp"
#include "sim/random.hpp"

using namespace wsr::sim;

TEST_CASE("events leave in the order of time, those of one time in the order of their ties") {
  std::mt19937_64 random(7);
  EventQueue queue;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> expected;
  std::uint64_t now = 0;
  const auto add = [&](std::uint64_t at) {
    Event event;
    event.at = at;
    event.tie = random() % 1'000;
    queue.push(event);
    expected.emplace_back(event.at, event.tie);
  };
  for (int i = 0; i < 2'000; ++i) add(random() % (1ULL << (random() % 50)));
  for (int popped = 0; !queue.is_empty(); ++popped) {
    std::sort(expected.begin(), expected.end());
    const Event event = queue.pop();
    REQUIRE(std::pair(event.at, event.tie) == expected.front());
    expected.erase(expected.begin());
    REQUIRE(event.at >= now);
    now = event.at;
    if (popped < 1'000) add(now + 1 + random() % (1ULL << (random() % 40)));
  }
  REQUIRE(expected.empty());
}

TEST_CASE("draws are what their distributions say, and the same for the same purpose, whoever else draws") {
  const Draws draws(11);
  constexpr int count = 200'000;
  const auto mean_of = [&](const Distribution& d) {
    double sum = 0;
    for (int i = 0; i < count; ++i)
      sum += static_cast<double>(draws.of(d, Purpose::latency, 3, static_cast<std::uint64_t>(i)));
    return sum / count;
  };
  const auto part_of = [&](const Distribution& d, int percent) {
    std::vector<Nanos> all;
    for (int i = 0; i < count; ++i) all.push_back(draws.of(d, Purpose::latency, 5, static_cast<std::uint64_t>(i)));
    std::sort(all.begin(), all.end());
    return static_cast<double>(all[static_cast<std::size_t>(count) * static_cast<std::size_t>(percent) / 100]);
  };
  using K = Distribution::Kind;
  CHECK(mean_of({K::uniform, 1'000'000, 3'000'000}) == Approx(2e6).epsilon(0.01));
  CHECK(mean_of({K::exponential, 2'000'000, 0}) == Approx(2e6).epsilon(0.01));
  CHECK(part_of({K::exponential, 1'000'000, 0}, 99) == Approx(4.605e6).epsilon(0.03));
  CHECK(part_of({K::lognormal, 2'000'000, 40'000'000}, 50) == Approx(2e6).epsilon(0.02));
  CHECK(part_of({K::lognormal, 2'000'000, 40'000'000}, 99) == Approx(40e6).epsilon(0.05));
  CHECK(part_of({K::pareto, 1'000'000, 100'000'000}, 99) == Approx(100e6).epsilon(0.1));
  const std::uint64_t before = draws.bits(Purpose::member, 9, 4);
  (void)draws.bits(Purpose::member, 9, 5);
  CHECK(draws.bits(Purpose::member, 9, 4) == before);
  CHECK(Draws(12).bits(Purpose::member, 9, 4) != before);
}

TEST_CASE("a histogram finds its percentiles to within a sixteenth") {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100'000; ++value) histogram.add(value);
  CHECK(histogram.count() == 100'000);
  CHECK(static_cast<double>(histogram.percentile(500'000)) == Approx(50'000).epsilon(0.0625));
  CHECK(static_cast<double>(histogram.percentile(990'000)) == Approx(99'000).epsilon(0.0625));
  CHECK(histogram.percentile(1) == 1);
  CHECK(Histogram{}.percentile(500'000) == 0);
}

TEST_CASE("a window counts what happens while it is open, among its clients, and knows if its family was there") {
  Metrics metrics;
  auto& window = metrics.add(Metric::deliver_double, {true, false});
  metrics.count(Metric::deliver_double, 0);
  metrics.open(window);
  CHECK(window.family == 0);
  metrics.count(Metric::deliver, 0);
  metrics.count(Metric::deliver_double, 0);
  metrics.count(Metric::deliver_double, 1);
  CHECK(window.tally.count == 1);
  CHECK(window.family == 1);
  metrics.close(window);
  metrics.count(Metric::deliver_double, 0);
  CHECK(window.tally.count == 1);
  CHECK(metrics.of(Metric::deliver_double) == 4);
}
