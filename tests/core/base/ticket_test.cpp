#include "core/base/ticket.hpp"

#include <catch2/catch.hpp>
#include <cstdint>

namespace wsr {
namespace {

TEST_CASE("a ticket carries its driver beside the caller's own bits") {
  const Ticket own = RouterCall{CallKind::publish, BatchNumber::pack(5, 9)}.ticket();
  const Ticket tagged = own.with_driver(200);
  CHECK(tagged.driver() == 200);
  CHECK(tagged.without_driver() == own);
  const RouterCall call = RouterCall::of(tagged);
  CHECK(call.kind == CallKind::publish);
  CHECK(BatchNumber::high(call.number) == 5);
  CHECK(BatchNumber::low(call.number) == 9);
}

TEST_CASE("what does not fit into its part of a ticket does not spill into the next") {
  const std::uint64_t all = ~std::uint64_t{0};
  CHECK(ClaimNumber::high(ClaimNumber::pack(all, 0)) == ClaimNumber::high_max);
  CHECK(ClaimNumber::low(ClaimNumber::pack(all, 0)) == 0);
  CHECK(ClaimNumber::high(ClaimNumber::pack(0, all)) == 0);
  CHECK(RouterCall::of(RouterCall{CallKind::audit, all}.ticket()).kind == CallKind::audit);
}

}  // namespace
}  // namespace wsr
