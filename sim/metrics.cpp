#include "sim/metrics.hpp"

#include <algorithm>
#include <bit>

namespace wsr::sim {
namespace {

std::size_t index(Metric metric) { return static_cast<std::size_t>(metric); }

Metric family_of(Metric metric) { return metric_of(metric_names[index(metric)].family).value_or(metric); }

}  // namespace

void Histogram::add(std::uint64_t value) {
  // Values below 32 have a place each; above, each power of two has 16.
  const unsigned power = value < 32 ? 0 : static_cast<unsigned>(std::bit_width(value)) - 5;
  const std::size_t place = std::size_t{power} * 16 + static_cast<std::size_t>(value >> power);
  if (place >= buckets_.size()) buckets_.resize(place + 1);
  ++buckets_[place];
  ++count_;
}

std::uint64_t Histogram::percentile(std::uint32_t millionths) const {
  const auto wanted = static_cast<std::uint64_t>((static_cast<Wide>(count_) * millionths + 999'999) / 1'000'000);
  std::uint64_t seen = 0;
  for (std::size_t place = 0; place < buckets_.size(); ++place) {
    seen += buckets_[place];
    if (buckets_[place] == 0 || seen < wanted) continue;
    const std::size_t power = place < 32 ? 0 : place / 16 - 1;
    return ((place - power * 16 + 1) << power) - 1;  // the upper end of the place
  }
  return 0;
}

void Tally::add(std::int64_t value) {
  min = count == 0 ? value : std::min(min, value);
  max = count == 0 ? value : std::max(max, value);
  sum += value;
  ++count;
}

void Metrics::count(Metric metric, std::uint32_t client, std::int64_t value) {
  totals_[index(metric)].add(value);
  if (metric == Metric::deliver_latency || metric == Metric::room_latency) {
    latencies_.add(static_cast<std::uint64_t>(value));
  }
  const auto is_among = [client](const Window& window) {
    return window.clients.empty() || (client < window.clients.size() && window.clients[client]);
  };
  for (Window* window : open_[index(metric)]) {
    if (!is_among(*window)) continue;
    window->tally.add(value);
    window->values.add(static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0)));
  }
  for (Window* window : families_[index(metric)]) window->family += is_among(*window) ? 1 : 0;
  if (is_probed[index(metric)]) on_probe(probe_self, metric, client);
}

Metrics::Window& Metrics::add(Metric metric, std::vector<bool> clients) {
  windows_.push_back(std::make_unique<Window>());
  windows_.back()->metric = metric;
  windows_.back()->clients = std::move(clients);
  return *windows_.back();
}

void Metrics::open(Window& window) {
  if (window.is_open) return;
  window.is_open = true;
  open_[index(window.metric)].push_back(&window);
  families_[index(family_of(window.metric))].push_back(&window);
}

void Metrics::close(Window& window) {
  if (!window.is_open) return;
  window.is_open = false;
  std::erase(open_[index(window.metric)], &window);
  std::erase(families_[index(family_of(window.metric))], &window);
}

}  // namespace wsr::sim
