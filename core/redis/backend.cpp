// The two connections and the ports, put together. This is the only file that knows all of them.
#include "core/redis/backend.hpp"

#include <string>
#include <utility>
#include <variant>

#include "core/redis/bus.hpp"
#include "core/redis/cluster_view.hpp"
#include "core/redis/connection.hpp"
#include "core/redis/directory.hpp"
#include "core/redis/keys.hpp"
#include "core/redis/rates.hpp"
#include "core/redis/rosters.hpp"
#include "core/redis/subscriber.hpp"
#include "core/redis/tables.hpp"

namespace wsr::redis {
namespace {

template <class Part, class Call>
concept Takes = requires(Part& part, Call& call) {
  part.call(Ticket{}, std::move(call));
};

class Backend final : public wsr::Backend, private ConnectionEvents {
public:
  Backend(asio::io_context& io, Options options, AnswerSink& answers, BusListener& listener)
      : options_(std::move(options)),
        keys_(options_.prefix, options_.address.db),
        listener_(listener),
        commands_(io, options_, Connection::Role::commands, *this),
        subscriber_(io, options_, keys_, answers, listener),
        directory_(commands_, options_, keys_, view_, answers),
        bus_(commands_, subscriber_, keys_, answers),
        rosters_(commands_, options_, keys_, view_, answers),
        rates_(commands_, keys_, answers),
        tables_(commands_, keys_) {}

  void start() override {
    commands_.start();
    subscriber_.start();
  }
  void stop() override {
    commands_.stop();
    subscriber_.stop();
  }
  void call(Ticket ticket, StoreCall&& call) override {
    std::visit(
        [&]<class Call>(Call& each) {
          if constexpr (Takes<Directory, Call>) {
            directory_.call(ticket, std::move(each));
          } else if constexpr (Takes<Rosters, Call>) {
            rosters_.call(ticket, std::move(each));
          } else if constexpr (Takes<Rates, Call>) {
            rates_.call(ticket, std::move(each));
          } else {
            bus_.call(ticket, std::move(each));  // a call that no part takes does not compile
          }
        },
        call);
  }
  wsr::Tables& tables() override { return tables_; }
  BatchKeys bound(BatchKeys keys) const override {
    return bind_keys(std::move(keys), options_.prefix, options_.address.db);
  }
  bool may_evict() const override { return true; }  // maxmemory-policy may change while we run
  void end_turn() override {
    rosters_.flush();
    commands_.flush();
    subscriber_.flush();
  }

private:
  void on_ready() override {
    if (told_) view_.doubt();  // not at the first connect: nobody has lost anything by it
    tell(StoreState::up);
  }
  void on_lost() override { tell(StoreState::down); }
  void tell(StoreState state) {
    if (told_ == state) return;
    told_ = state;
    listener_.on_store_state(state);
  }

  Options options_;
  Keys keys_;
  BusListener& listener_;
  std::optional<StoreState> told_;  // each state is told once, not with every failed attempt
  ClusterView view_;
  Connection commands_;
  Subscriber subscriber_;
  Directory directory_;
  Bus bus_;
  Rosters rosters_;
  Rates rates_;
  Tables tables_;
};

}  // namespace

BatchKeys bind_keys(BatchKeys keys, std::string_view prefix, unsigned db) {
  // Behind a zero byte, which no secret that people write contains: no two pairs of secret and fabric give one key.
  for (BatchKey& key : keys.keys) {
    key.secret.append(1, '\0').append(std::to_string(db)).append(1, '\0').append(prefix);
  }
  return keys;
}

std::unique_ptr<wsr::Backend> make_backend(boost::asio::io_context& io, Options options, AnswerSink& answers,
                                           BusListener& listener) {
  return std::make_unique<Backend>(io, std::move(options), answers, listener);
}

}  // namespace wsr::redis
