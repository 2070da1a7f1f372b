// Metrics: what is counted during a run, in all and through windows.
//
// A window is a metric, some clients (or all), and a span of time: it is opened and closed by whoever looks through it.
//
// Thread-safety: none; part of one run.
// Cost:          a count is O(1 + windows open on that metric).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/kernel.hpp"
#include "sim/vocabulary.hpp"

namespace wsr::sim {

/// Values by size, to about 6 %: 16 steps in each power of two.
class Histogram {
public:
  void add(std::uint64_t value);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  /// The least value that `millionths` of all do not exceed (p99: 990 000); 0 if there is none.
  [[nodiscard]] std::uint64_t percentile(std::uint32_t millionths) const;

private:
  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
};

struct Tally {
  std::uint64_t count = 0;
  std::int64_t sum = 0, min = 0, max = 0;
  void add(std::int64_t value);
};

inline constexpr std::uint32_t nobody = ~std::uint32_t{0};

class Metrics {
public:
  struct Window {
    Metric metric = Metric::count_;
    std::vector<bool> clients;  // empty: all
    bool is_of_nobody = false;  // none of the clients is meant: it says nothing
    bool is_open = false;
    Tally tally;
    Histogram values;
    std::uint64_t family = 0;  // how often its family happened, without which it says nothing
  };

  void count(Metric metric, std::uint32_t client = nobody, std::int64_t value = 1);
  [[nodiscard]] const Tally& total(Metric metric) const { return totals_[static_cast<std::size_t>(metric)]; }
  [[nodiscard]] std::uint64_t of(Metric metric) const { return total(metric).count; }
  [[nodiscard]] const Histogram& latencies() const { return latencies_; }

  [[nodiscard]] Window& add(Metric metric, std::vector<bool> clients);
  void open(Window& window);
  void close(Window& window);

  /// Called at every count of a metric somebody waits for.
  void (*on_probe)(void* self, Metric metric, std::uint32_t client) = nullptr;
  void* probe_self = nullptr;
  std::array<bool, static_cast<std::size_t>(Metric::count_)> is_probed{};

private:
  std::array<Tally, static_cast<std::size_t>(Metric::count_)> totals_{};
  std::array<std::vector<Window*>, static_cast<std::size_t>(Metric::count_)> open_;      // by metric
  std::array<std::vector<Window*>, static_cast<std::size_t>(Metric::count_)> families_;  // by family
  std::vector<std::unique_ptr<Window>> windows_;
  Histogram latencies_;  // of deliver.latency and room.latency
};

}  // namespace wsr::sim
