#include "sim/naive_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/wire/client_protocol.hpp"
#include "sim/truth.hpp"

namespace wsr::sim {
namespace {

const TableSpec owners{.name = "owner",
                       .columns = {{Column::Type::text, "server", 64}, {Column::Type::integer, "fd", 0}},
                       .rows_max = 100'000'000,
                       .ttl = std::nullopt};
const TableSpec signs{
    .name = "server", .columns = {{Column::Type::integer, "seen", 0}}, .rows_max = 100'000, .ttl = std::nullopt};

}  // namespace

NaiveServer::NaiveServer(Parts& parts, std::uint32_t number, std::uint32_t life, Nanos)
    // Its wall clock is right, until a step skews it.
    : VirtualServer(parts, number, life, 0), ports_(session_, 0) {
  id_ = ServerId::trusted(fmt::format("s{}~1", number));  // a name, and the same one after a restart
}

void NaiveServer::start() {
  session_.start();
  ports_.call(Ticket{1}, SubscribeCall{channel_of(id_.str()), Match::exact});
  parts_.kernel.push(parts_.kernel.now() + 100 * millisecond, EventKind::server_timer, number_, 1, life_);
}

void NaiveServer::stop() {
  is_draining_ = true;
  for (const ConnIndex conn : std::vector<ConnIndex>(by_fd_)) {
    if (conn == nobody) continue;
    parts_.population->close_by_server(conn, 1001);
    closed(conn);
  }
  parts_.kernel.push(parts_.kernel.now() + second, EventKind::server_act, number_, life_);
}

void NaiveServer::on_store_state(StoreState state) {
  is_up_ = state == StoreState::up;
  if (is_up_) declare();
}

void NaiveServer::declare() {
  ports_.declare(owners, [](const Result<Done>&) {});
  ports_.declare(signs, [](const Result<Done>&) {});
  sign();
}

void NaiveServer::on_timer(std::uint32_t) {
  sign();
  if (parts_.kernel.now() >= collect_at_) {
    collect_at_ = parts_.kernel.now() + collect_every;
    collect();
  }
  parts_.kernel.push(parts_.kernel.now() + sign_every, EventKind::server_timer, number_, 1, life_);
}

void NaiveServer::sign() {
  ports_.set("server", id_.str(), Row{{"seen", wall_seconds()}}, [](const Result<Done>&) {});
}

void NaiveServer::collect() {
  ports_.page("server", "0", 1'000, [this](const Result<RowPage>& page) {
    if (!page) return;
    for (const auto& [server, row] : page->rows) {
      if (server == id_.str() || std::get<std::int64_t>(row.at("seen")) + stale_after / second >= wall_seconds())
        continue;
      ports_.del("server", server, [](const Result<Done>&) {});
      ports_.page("owner", "0", 1'000'000, [this, dead = server](const Result<RowPage>& rows) {
        if (!rows) return;
        for (const auto& [client, owner] : rows->rows) {
          if (std::get<std::string>(owner.at("server")) == dead)
            ports_.del("owner", client, [](const Result<Done>&) {});
        }
      });
    }
  });
}

// ---------------------------------------------------------------- connections

ConnIndex NaiveServer::conn_with(ConnId id) const { return id.value < by_fd_.size() ? by_fd_[id.value] : nobody; }

void NaiveServer::on_accept(ConnIndex index) {
  if (parts_.population->conn(index).device == nobody) return parts_.population->server_end_is_over(index);
  Conn& conn = parts_.population->conn(index);
  if (is_draining_) return parts_.population->refuse(index);
  // As the kernel does it: the lowest free descriptor.
  const auto free = std::find(by_fd_.begin(), by_fd_.end(), nobody);
  const auto fd = static_cast<std::uint32_t>(free - by_fd_.begin());
  if (free == by_fd_.end()) by_fd_.push_back(nobody);
  by_fd_[fd] = index;
  ++open_;
  conn.id = ConnId{fd};
  conn.life = life_;
  conn.opened_at = parts_.kernel.now();
  const std::string client = Population::name_of(parts_.population->client_of(conn.device));
  ports_.set("owner", client, Row{{"server", id_.str()}, {"fd", static_cast<std::int64_t>(fd)}},
             [](const Result<Done>&) {});
  std::string text;
  append_welcome(text, client, id_.view(), std::to_string(fd), {});
  write_fd(fd, text);
}

void NaiveServer::closed(ConnIndex index) {
  Conn& conn = parts_.population->conn(index);
  const auto fd = static_cast<std::uint32_t>(conn.id.value);
  if (fd >= by_fd_.size() || by_fd_[fd] != index) return;
  by_fd_[fd] = nobody;
  waiting_.erase(fd);
  --open_;
  conn.state = Conn::State::closed;
  parts_.population->server_end_is_over(index);
}

void NaiveServer::on_fin(ConnIndex index) {
  const Conn& conn = parts_.population->conn(index);
  if (conn_with(conn.id) != index) return parts_.population->server_end_is_over(index);
  // The client that had this descriptor: a hand-made server keeps it in a map by descriptor.
  const std::uint32_t client =
      conn.device != nobody ? parts_.population->client_of(conn.device) : parts_.truth->client_of_conn(conn.serial);
  closed(index);
  if (client != nobody) ports_.del("owner", Population::name_of(client), [](const Result<Done>&) {});
}

void NaiveServer::on_writable(ConnIndex index) {
  const Conn& conn = parts_.population->conn(index);
  const auto found = waiting_.find(static_cast<std::uint32_t>(conn.id.value));
  if (conn_with(conn.id) != index || found == waiting_.end()) return;
  std::deque<std::string> queue = std::move(found->second);
  waiting_.erase(found);
  for (std::string& text : queue) write_fd(static_cast<std::uint32_t>(conn.id.value), text);
}

void NaiveServer::write_fd(std::uint32_t fd, std::string_view json) {
  if (fd >= by_fd_.size() || by_fd_[fd] == nobody) return;  // nobody has it: gone, and nobody is told
  Conn& conn = parts_.population->conn(by_fd_[fd]);
  auto& queue = waiting_[fd];
  if (!queue.empty() || parts_.population->window_left(by_fd_[fd]) < json.size() + 16) {
    queue.emplace_back(json);  // without any bound, as they mostly are
    conn.is_blocked = true;
    std::size_t bytes = 0;
    for (const std::string& each : queue) bytes += each.size();
    parts_.truth->on_queue(by_fd_[fd], bytes);
    return;
  }
  waiting_.erase(fd);
  std::string frame;
  ws_append_frame(frame, WsOpcode::text, json);
  parts_.population->write(by_fd_[fd], std::move(frame));
}

// ---------------------------------------------------------------- messages

void NaiveServer::on_text(ConnIndex index, std::string&& text) {
  const Conn& conn = parts_.population->conn(index);
  if (conn_with(conn.id) != index || conn.device == nobody) return;
  const auto parsed = parse_command(text);
  const auto* command = std::get_if<Command>(&parsed);
  const auto fd = static_cast<std::uint32_t>(conn.id.value);
  if (command == nullptr || command->op != Command::Op::send) {
    std::string answer;
    append_error(answer, command == nullptr ? "" : command->id.view(), "bad_request",
                 "the naive pattern only sends to clients");
    return write_fd(fd, answer);
  }
  const std::string id(command->id.view());
  const std::string from = Population::name_of(parts_.population->client_of(conn.device));
  const std::uint32_t serial = conn.serial;
  route(std::string(command->to.view()), from, std::string(command->data), [this, fd, id, index, serial](bool is_sent) {
    if (id.empty() || parts_.population->conn(index).serial != serial) return;
    std::string answer;
    append_result(answer, id, is_sent ? "delivered" : "offline", "");
    write_fd(fd, answer);
  });
}

void NaiveServer::send(const ClientId& to, std::string_view data) {
  route(to.str(), "", std::string(data), [](bool) {});
}

void NaiveServer::route(const std::string& to, const std::string& from, const std::string& data,
                        std::function<void(bool)> done) {
  ports_.get("owner", to, [this, from, data, done = std::move(done)](const Result<Row>& row) {
    if (!row) return done(false);
    const auto& server = std::get<std::string>(row->at("server"));
    const auto fd = static_cast<std::uint32_t>(std::get<std::int64_t>(row->at("fd")));
    std::string message;
    append_message(message, from, data);
    if (server == id_.str()) {
      write_fd(fd, message);
    } else {
      ports_.call(Ticket{2}, PublishCall{channel_of(server), fmt::format("{} {}", fd, message)});
    }
    done(true);
  });
}

void NaiveServer::on_bus_message(const Channel&, std::string_view, std::string_view payload) {
  const auto space = payload.find(' ');
  if (space == std::string_view::npos) return;
  write_fd(static_cast<std::uint32_t>(std::strtoul(std::string(payload.substr(0, space)).c_str(), nullptr, 10)),
           payload.substr(space + 1));
}

void NaiveServer::on_store_event(const Event& event) {
  if (event.kind == EventKind::store_answer) {
    session_.on_answer(event);
  } else if (event.kind == EventKind::bus_message) {
    session_.on_bus_message(event);
  } else {
    session_.on_timer(event);
  }
}

}  // namespace wsr::sim
