// Overload: one function object out of several lambdas, for std::visit.
//
// A variant is dispatched by what its alternatives are called, and one that is forgotten does not compile:
//
//   std::visit(Overload{[](const Joined& joined) { ... }, [](const Left& left) { ... }}, answer);
//
// Alternatives that need nothing done are named in an overload of their own (Ignored<...>), so that a new one is
// noticed. A fallback for everything (`const auto&`) gives that up: only where a new alternative cannot matter.
#pragma once

#include <concepts>
#include <type_traits>

namespace wsr {

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

/// Takes exactly these types and does nothing.
template <class... Types>
struct Ignored {
  template <class T>
  requires(std::same_as<std::remove_cvref_t<T>, Types> || ...) void operator()(T&&) const {}
};

}  // namespace wsr
