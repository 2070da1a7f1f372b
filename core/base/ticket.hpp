// Ticket: what the caller of a port gets its answer by. The caller chooses it, the answer brings it back.
//
// This page has the layout of all tickets:
//
//    63      56 55    52 51                                   0
//   ┌──────────┬────────┬──────────────────────────────────────┐
//   │  driver  │  kind  │               number                 │   a Router's call (RouterCall)
//   └──────────┴────────┼──────────────────┬───────────────────┤
//                       │  serial 28 bits  │   slot 24 bits    │   number of a claim: whose (ClaimNumber)
//                       │  link 20 bits    │   serial 32 bits  │   number of a batch: on which link (BatchNumber)
//                       │ look 1 bit       │   number 51 bits  │   number of an audit's call (AuditNumber)
//   ┌──────────┬────────┴───┬──────────────┴───────────────────┐
//   │  driver  │ kind 8 bits│           number 48 bits         │   a Keeper's call (KeeperCall)
//   └──────────┴────────────┴──────────────────────────────────┘
//
// Who calls writes the driver as 0. Who carries the calls of several callers to one store (the hub of a server) puts
// the caller's tag there, and takes it away from the answer.
#pragma once

#include <cassert>
#include <compare>
#include <cstdint>

namespace wsr {

struct Ticket {
  std::uint64_t value = 0;
  auto operator<=>(const Ticket&) const = default;

  static constexpr unsigned driver_shift = 56;
  [[nodiscard]] constexpr std::uint8_t driver() const { return static_cast<std::uint8_t>(value >> driver_shift); }
  /// The same call, of this driver. REQUIRES: driver() == 0.
  [[nodiscard]] constexpr Ticket with_driver(std::uint8_t tag) const {
    assert(driver() == 0);
    return Ticket{value | std::uint64_t{tag} << driver_shift};
  }
  /// As the caller knows it.
  [[nodiscard]] constexpr Ticket without_driver() const {
    return Ticket{value & ((std::uint64_t{1} << driver_shift) - 1)};
  }
};

/// Two numbers in one: `high` above `low_bits` bits of `low`. What does not fit is cut off.
template <unsigned high_bits, unsigned low_bits>
struct PackedPair {
  static_assert(high_bits + low_bits <= Ticket::driver_shift, "the driver's bits are not a caller's");
  static constexpr std::uint64_t high_max = (std::uint64_t{1} << high_bits) - 1;
  static constexpr std::uint64_t low_max = (std::uint64_t{1} << low_bits) - 1;
  [[nodiscard]] static constexpr std::uint64_t pack(std::uint64_t high, std::uint64_t low) {
    return (high & high_max) << low_bits | (low & low_max);
  }
  [[nodiscard]] static constexpr std::uint64_t high(std::uint64_t packed) { return packed >> low_bits & high_max; }
  [[nodiscard]] static constexpr std::uint64_t low(std::uint64_t packed) { return packed & low_max; }
};

// ---------------------------------------------------------------- a Router's calls

enum class CallKind : std::uint8_t { publish = 1, lookup, claim, release, room, channel, drop, rate, audit };

struct RouterCall {
  using Bits = PackedPair<4, 52>;
  static_assert(static_cast<std::uint64_t>(CallKind::audit) <= Bits::high_max);

  CallKind kind;
  std::uint64_t number;

  [[nodiscard]] constexpr Ticket ticket() const { return Ticket{Bits::pack(static_cast<std::uint64_t>(kind), number)}; }
  [[nodiscard]] static constexpr RouterCall of(Ticket ticket) {
    return {static_cast<CallKind>(Bits::high(ticket.value)), Bits::low(ticket.value)};
  }
};

/// A claim names its session. The lower 28 bits of the serial are enough to tell a slot that is used again.
using ClaimNumber = PackedPair<28, 24>;
/// A batch on its way: the serial, and the index of its link.
using BatchNumber = PackedPair<20, 32>;
/// A page of what the store holds (0), or a look at what it should hold (1).
using AuditNumber = PackedPair<1, 51>;

static_assert(ClaimNumber::pack(~std::uint64_t{0}, ~std::uint64_t{0}) <= RouterCall::Bits::low_max);
static_assert(BatchNumber::pack(~std::uint64_t{0}, ~std::uint64_t{0}) <= RouterCall::Bits::low_max);
static_assert(AuditNumber::pack(~std::uint64_t{0}, ~std::uint64_t{0}) <= RouterCall::Bits::low_max);
static_assert(RouterCall::of(RouterCall{CallKind::room, 7}.ticket()).kind == CallKind::room);
static_assert(RouterCall::of(RouterCall{CallKind::room, 7}.ticket()).number == 7);

// ---------------------------------------------------------------- a Keeper's calls

struct KeeperCall {
  using Bits = PackedPair<8, 48>;
  enum class Kind : std::uint8_t { renew = 1, servers, sweep, subscribe, resign, probe };

  Kind kind;
  std::uint64_t number;

  [[nodiscard]] constexpr Ticket ticket() const { return Ticket{Bits::pack(static_cast<std::uint64_t>(kind), number)}; }
  [[nodiscard]] static constexpr Kind kind_of(Ticket ticket) { return static_cast<Kind>(Bits::high(ticket.value)); }
};

static_assert(KeeperCall::kind_of(KeeperCall{KeeperCall::Kind::probe, 1}.ticket()) == KeeperCall::Kind::probe);
static_assert(Ticket{5}.with_driver(255).driver() == 255 && Ticket{5}.with_driver(255).without_driver() == Ticket{5});

}  // namespace wsr
