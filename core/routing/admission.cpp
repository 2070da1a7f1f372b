#include "core/routing/admission.hpp"

#include <memory>
#include <utility>

namespace wsr {

bool Admission::asks_anything(const Utterance& utterance) const {
  const bool is_client = utterance.conn != ConnId{};
  const bool is_push = utterance.kind == Utterance::Kind::push;
  return (is_push && context_.limits().room_rate.is_on()) || (is_client && context_.limits().client_rate.is_on()) ||
         (is_push && is_client && context_.ports.authorizer != nullptr);
}

void Admission::submit(const Utterance& utterance) {
  if (!asks_anything(utterance)) return events_.on_admitted(utterance);
  if (waiting_ >= context_.limits().room_flows_max) {
    return events_.on_refused(utterance, Refused{Refused::Why::capacity, {}});
  }
  auto waiting = std::make_shared<Waiting>();
  waiting->id = utterance.id;
  waiting->from = utterance.from;
  waiting->target = utterance.target;
  waiting->data = utterance.data;
  waiting->utterance = utterance;
  waiting->utterance.id = waiting->id;
  waiting->utterance.from = waiting->from;
  waiting->utterance.target = waiting->target;
  waiting->utterance.data = waiting->data;
  ++waiting_;
  queues_[utterance.conn].push_back(waiting);
  if (utterance.conn == ConnId{}) return ask_room_rate(waiting);
  if (utterance.kind == Utterance::Kind::send) return ask_client_rate(waiting);
  authorize(RoomAction::push, RoomName::trusted(waiting->target), ClientId::trusted(waiting->from),
            [this, waiting](Permission permission) {
              if (permission == Permission::granted) return ask_client_rate(waiting);
              settle(waiting, Refused{Refused::Why::forbidden, {}});
            });
}

void Admission::ask_client_rate(const std::shared_ptr<Waiting>& waiting) {
  const RateLimit& limit = context_.limits().client_rate;
  if (!limit.is_on()) return ask_room_rate(waiting);
  const Taken here = buckets_.take(waiting->from, limit, context_.ports.clock.store_now());
  if (here.result == Errc::rate_limited) {
    return settle(waiting, Refused{Refused::Why::client_rate, here.retry_after});
  }
  take(RateKey{RateKey::Kind::client, waiting->from}, limit, [this, waiting](const Taken& taken) {
    if (taken.result != Errc::rate_limited) return ask_room_rate(waiting);
    settle(waiting, Refused{Refused::Why::client_rate, taken.retry_after});
  });
}

void Admission::ask_room_rate(const std::shared_ptr<Waiting>& waiting) {
  const RateLimit& limit = context_.limits().room_rate;
  if (waiting->utterance.kind != Utterance::Kind::push || !limit.is_on()) return settle(waiting, std::nullopt);
  take(RateKey{RateKey::Kind::room, waiting->target}, limit, [this, waiting](const Taken& taken) {
    if (taken.result != Errc::rate_limited) return settle(waiting, std::nullopt);
    settle(waiting, Refused{Refused::Why::room_rate, taken.retry_after});
  });
}

void Admission::take(const RateKey& key, const RateLimit& limit, std::function<void(const Taken&)> taken) {
  const std::uint64_t call = ++calls_;
  takes_.emplace(call, std::move(taken));
  context_.ports.store.call(RouterCall{CallKind::rate, call}.ticket(), TakeCall{key, limit});
}

void Admission::on_taken(std::uint64_t number, const Taken& taken) {
  auto call = takes_.extract(number);
  if (!call.empty()) call.mapped()(taken);
}

void Admission::settle(const std::shared_ptr<Waiting>& waiting, std::optional<Refused> refused) {
  waiting->is_settled = true;
  waiting->refused = refused;
  const ConnId conn = waiting->utterance.conn;
  const auto found = queues_.find(conn);
  if (found == queues_.end()) return;
  Queue& queue = found->second;
  if (conn == ConnId{}) {
    std::erase(queue, waiting);
    queue.push_front(waiting);  // the application's calls do not wait for each other
  }
  while (!queue.empty() && queue.front()->is_settled) {
    const auto next = std::move(queue.front());
    queue.pop_front();
    --waiting_;
    if (next->refused) {
      events_.on_refused(next->utterance, *next->refused);
    } else {
      events_.on_admitted(next->utterance);
    }
  }
  if (queue.empty()) queues_.erase(conn);
}

const RateLimit& Admission::limit_of(Work work) const {
  const Limits& limits = context_.limits();
  return work == Work::join ? limits.join_rate : work == Work::leave ? limits.leave_rate : limits.members_rate;
}

Taken Admission::price(Work work, std::string_view client) {
  auto& buckets = prices_.at(static_cast<std::size_t>(work));
  return buckets.take(client, limit_of(work), context_.ports.clock.store_now());
}

// ---------------------------------------------------------------- the authorizer

void Admission::authorize(RoomAction action, const RoomName& room, const ClientId& client,
                          std::function<void(Permission)> decided) {
  if (context_.ports.authorizer == nullptr) return decided(Permission::granted);
  const std::uint64_t call = ++calls_;
  questions_.emplace(call, Question{context_.now() + context_.limits().authorize_within, std::move(decided)});
  context_.ports.authorizer->authorize(Ticket{call}, action, room, client);
}

void Admission::on_authorized(Ticket ticket, Permission permission) {
  auto question = questions_.extract(ticket.value);
  if (!question.empty()) question.mapped().decided(permission);
}

std::optional<Time> Admission::next_deadline() const {
  return questions_.empty() ? std::nullopt : std::optional(questions_.begin()->second.until);
}

void Admission::on_time() {
  // All wait equally long, so the oldest question is the first to be due. No answer is a no.
  while (!questions_.empty() && questions_.begin()->second.until <= context_.now()) {
    ++context_.stats.authorize_timeouts;
    auto question = questions_.extract(questions_.begin());
    question.mapped().decided(Permission::denied);
  }
}

}  // namespace wsr
