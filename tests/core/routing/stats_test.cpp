#include "core/routing/stats.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "core/routing/outcome.hpp"

using namespace wsr;

TEST_CASE("every figure is named once and sums over shards include each") {
  Stats one;
  for (const auto& figure : stats_figures) one.*figure.value = 3;
  at(one.words, Word::offline) = 5;
  Stats sum_of_two = one;
  sum_of_two += one;
  std::set<std::string> names;
  sum_of_two.each([&](std::string_view name, std::uint64_t value) {
    CHECK(value == 6);
    names.insert(std::string(name));
  });
  CHECK(names.size() == std::size(stats_figures));
  // Each figure is a 64-bit number and the words are word_count of them: none is missing from the list.
  CHECK(sizeof(Stats) == (std::size(stats_figures) + word_count) * sizeof(std::uint64_t));
  CHECK(at(sum_of_two.words, Word::offline) == 10);
}

TEST_CASE("every word has a state, and a reason exactly when it is dropped") {
  std::set<std::string> said;
  for (std::size_t i = 0; i < words_used; ++i) {
    const Word word = static_cast<Word>(i);
    CHECK((state_of(word) == "dropped") == !reason_of(word).empty());
    said.insert(std::string(state_of(word)) + "/" + std::string(reason_of(word)));
  }
  CHECK(said.size() == words_used);
}
