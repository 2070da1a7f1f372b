// Overload: one function object out of several lambdas, for std::visit.
//
// A variant is dispatched by what its alternatives are called, and one that is forgotten does not compile:
//
//   std::visit(Overload{[](const Joined& joined) { ... }, [](const Left& left) { ... }}, answer);
//
// Alternatives that need nothing done are named in an overload of their own (Ignored<...>), so that a new one is
// noticed. A fallback for everything (`const auto&`) gives that up: only where a new alternative cannot matter.
#pragma once

namespace wsr {

template <class... Fs>
struct Overload : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overload(Fs...) -> Overload<Fs...>;

template <class Type>
struct IgnoredOne {
  void operator()(const Type&) const {}
};
/// Takes these types and does nothing. One that is also handled beside it is ambiguous, and does not compile.
template <class... Types>
struct Ignored : IgnoredOne<Types>... {
  using IgnoredOne<Types>::operator()...;
};

}  // namespace wsr
