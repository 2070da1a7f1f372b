#include "core/store/call.hpp"

#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace wsr {
namespace {

template <std::size_t index>
std::optional<Answer> failed_at(Errc result) {
  using Failed = typename std::variant_alternative_t<index, StoreCall>::Answer;
  if constexpr (std::is_void_v<Failed>) {
    static_cast<void>(result);
    return std::nullopt;
  } else {
    Failed answer;
    answer.result = result;
    return Answer{std::move(answer)};
  }
}

template <std::size_t... indices>
constexpr auto makers_of(std::index_sequence<indices...>) {
  return std::array{&failed_at<indices>...};
}

}  // namespace

Effect effect_of(const StoreCall& call) {
  return std::visit([](const auto& each) { return each.effect; }, call);
}

std::optional<Answer> failed(std::size_t index, Errc result) {
  static constexpr auto makers = makers_of(std::make_index_sequence<std::variant_size_v<StoreCall>>{});
  return index < makers.size() ? makers[index](result) : std::nullopt;
}

}  // namespace wsr
