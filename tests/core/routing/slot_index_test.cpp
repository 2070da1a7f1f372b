#include "core/routing/slot_index.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>
#include <string>

using namespace wsr;

namespace {

struct Names {
  std::deque<std::string> of;
  struct TextOf {
    const std::deque<std::string>* names;
    std::string_view operator()(std::uint32_t slot) const { return (*names)[slot]; }
  };
  SlotIndex<TextOf> index{TextOf{&of}};
};

}  // namespace

TEST_CASE("a slot is found by its text, also by the empty one, until it is erased") {
  Names names;
  names.of = {"ada", "", "bob"};
  for (std::uint32_t slot = 0; slot < 3; ++slot) names.index.insert(slot);
  CHECK(names.index.find("ada") == 0);
  CHECK(names.index.find("") == 1);
  CHECK(names.index.find("eve") == names.index.none);
  names.index.erase(0);
  CHECK(names.index.find("ada") == names.index.none);
  CHECK(names.index.find("bob") == 2);
  names.of[0] = "cyd";  // a slot that is not in the index may change
  names.index.insert(0);
  CHECK(names.index.find("cyd") == 0);
}

TEST_CASE("an index agrees with a map through 100 000 random changes") {
  Names names;
  names.of.resize(500);
  std::map<std::string, std::uint32_t> truth;
  std::vector<std::uint32_t> free(500);
  for (std::uint32_t slot = 0; slot < 500; ++slot) free[slot] = slot;
  std::mt19937 random(7);
  for (int i = 0; i < 100'000; ++i) {
    const std::string name = "c" + std::to_string(random() % 700);
    const auto known = truth.find(name);
    REQUIRE(names.index.find(name) == (known == truth.end() ? names.index.none : known->second));
    if (known != truth.end()) {
      names.index.erase(known->second);
      free.push_back(known->second);
      truth.erase(known);
    } else if (!free.empty()) {
      const std::uint32_t slot = free[random() % free.size()];
      std::erase(free, slot);
      names.of[slot] = name;
      names.index.insert(slot);
      truth.emplace(name, slot);
    }
  }
}
