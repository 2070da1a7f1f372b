#include "core/routing/stats.hpp"

namespace wsr {

Stats& Stats::operator+=(const Stats& other) {
  for (std::size_t i = 0; i < words.size(); ++i) words[i] += other.words[i];
  for (const auto& figure : stats_figures) this->*figure.value += other.*figure.value;
  return *this;
}

}  // namespace wsr
