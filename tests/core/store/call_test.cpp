#include "core/store/call.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace wsr {
namespace {

template <class... Calls>
std::vector<StoreCall> one_of_each(const std::variant<Calls...>*) {
  return {Calls{}...};
}
const std::vector<StoreCall> all_calls = one_of_each(static_cast<const StoreCall*>(nullptr));

std::string_view name_of(const StoreCall& call) {
  return std::visit([](const auto& each) { return each.name; }, call);
}

TEST_CASE("a call that failed is answered by the kind of answer that it would have brought") {
  for (const StoreCall& call : all_calls) {
    INFO(name_of(call));
    const auto answer = failed(call.index(), Errc::timeout);
    std::visit(
        [&]<class Call>(const Call&) {
          if constexpr (std::is_void_v<typename Call::Answer>) {
            CHECK_FALSE(answer);
          } else {
            REQUIRE(answer);
            REQUIRE(std::holds_alternative<typename Call::Answer>(*answer));
            CHECK(std::get<typename Call::Answer>(*answer).result == Errc::timeout);
          }
        },
        call);
  }
  CHECK_FALSE(failed(all_calls.size(), Errc::timeout));
}

TEST_CASE("each call has a name of its own") {
  std::set<std::string_view> names;
  for (const StoreCall& call : all_calls) names.insert(name_of(call));
  CHECK(names.size() == all_calls.size());
}

TEST_CASE("the simulator's trace hashes know the calls by their places") {
  CHECK(StoreCall{PublishCall{}}.index() == 0);
  CHECK(StoreCall{ClaimCall{}}.index() == 2);
  CHECK(StoreCall{JoinCall{}}.index() == 12);
  CHECK(StoreCall{MissingCall{}}.index() == 21);
  CHECK(StoreCall{ResubscribeCall{}}.index() == 22);
}

}  // namespace
}  // namespace wsr
