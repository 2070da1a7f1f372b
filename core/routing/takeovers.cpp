#include "core/routing/takeovers.hpp"

#include <algorithm>

namespace wsr {

void Takeovers::begin(ConnId conn, const std::vector<Attachment>& displaced) {
  Takeover& takeover = takeovers_[conn];
  const Time now = context_.now();
  // Counted before the first kick: one for this shard is answered inline.
  std::vector<std::pair<Attachment, std::uint64_t>> to_kick;
  for (const Attachment& at : displaced) {
    Time until = now + own_server_max;
    if (at.server != context_.options.self.server) {
      until = events_.leased_until(at.server).value_or(now + unknown_server_max);
    }
    const std::uint64_t receipt = ++receipts_;
    to_kick.emplace_back(at, receipt);
    if (until <= now) continue;  // told all the same, and not waited for
    kicks_.emplace(receipt, Kick{conn, at.address(), until});
    if (!prod_at_) prod_at_ = now + prod_every;
    deadlines_.emplace(until, receipt);
    ++takeover.waiting;
  }
  for (const auto& [at, receipt] : to_kick) events_.send_kick(at, receipt);
  end_if_done(conn);
}

void Takeovers::answer_kick(ConnId conn, const ShardAddress& from, std::uint64_t receipt, Claim claim) {
  if (claim == Claim::asked || is_waiting(conn)) {
    takeovers_[conn].owed.emplace_back(from, receipt);
    return;
  }
  events_.send_kick_done(from, receipt);
}

void Takeovers::on_kick_done(std::uint64_t receipt) {
  const auto node = kicks_.extract(receipt);
  if (node.empty()) return;
  deadlines_.erase({node.mapped().until, receipt});
  --takeovers_.at(node.mapped().by).waiting;
  end_if_done(node.mapped().by);
}

void Takeovers::on_server_gone(const ServerId& server) {
  std::vector<std::uint64_t> over;
  for (const auto& [receipt, kick] : kicks_) {
    if (kick.at.server == server) over.push_back(receipt);
  }
  std::sort(over.begin(), over.end());  // not in the order of a hash table
  for (const std::uint64_t receipt : over) on_kick_done(receipt);
}

bool Takeovers::is_waiting(ConnId conn) const {
  const auto found = takeovers_.find(conn);
  return found != takeovers_.end() && found->second.waiting != 0;
}

void Takeovers::end_if_done(ConnId conn) {
  const auto found = takeovers_.find(conn);
  if (found == takeovers_.end() || found->second.waiting != 0) return;
  const Takeover takeover = std::move(found->second);
  takeovers_.erase(found);
  for (const auto& [from, receipt] : takeover.owed) events_.send_kick_done(from, receipt);
  events_.on_taken_over(conn);
}

std::optional<Time> Takeovers::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return prod_at_ ? std::min(*prod_at_, deadlines_.begin()->first) : deadlines_.begin()->first;
}

void Takeovers::on_time() {
  while (!deadlines_.empty() && deadlines_.begin()->first <= context_.now()) {
    ++context_.stats.takeovers_unanswered;
    on_kick_done(deadlines_.begin()->second);
  }
  if (!prod_at_ || *prod_at_ > context_.now()) return;
  prod_at_.reset();
  std::set<ShardAddress> waited_for;
  for (const auto& [receipt, kick] : kicks_) waited_for.insert(kick.at);
  for (const ShardAddress& at : waited_for) {
    if (at.server != context_.options.self.server) events_.prod(at);
  }
  if (!kicks_.empty()) prod_at_ = context_.now() + prod_every;
}

}  // namespace wsr
