// Batch: several commands of one step, and what to do when all of them have their replies.
//
// Counts instead of waiting for the last one: a script that the store had forgotten is answered out of line.
//
//   auto batch = std::make_shared<Batch>([](Errc worst) { ... });
//   for (...) connection.send({...}, batch->each([](const Reply& reply) { ... }));
//
// REQUIRES: at least one each(), all of them in the turn that made the batch (callbacks never run inline).
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "core/redis/connection.hpp"

namespace wsr::redis {

class Batch : public std::enable_shared_from_this<Batch> {
public:
  /// `done` gets ok, or the result of the first command that failed.
  explicit Batch(std::function<void(Errc)> done) : done_(std::move(done)) {}

  [[nodiscard]] Callback each(Callback on_reply = {}) {
    ++left_;
    return [self = shared_from_this(), on_reply = std::move(on_reply)](const Reply& reply) {
      if (self->result_ == Errc::ok) self->result_ = reply.result();
      if (on_reply && reply.result() == Errc::ok) on_reply(reply);
      if (--self->left_ == 0) self->done_(self->result_);
    };
  }

private:
  std::function<void(Errc)> done_;
  std::size_t left_ = 0;
  Errc result_ = Errc::ok;
};

}  // namespace wsr::redis
