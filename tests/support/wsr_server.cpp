#include "tests/support/wsr_server.hpp"

#include <fmt/format.h>

#include <stdexcept>

namespace wsr::test {
namespace {

constexpr std::string_view announced = "listens on http://127.0.0.1:";
constexpr milliseconds start_within{15'000};  // a sanitizer's build on a busy machine

std::optional<std::uint16_t> announced_port(const std::string& out) {
  const auto at = out.find(announced);
  if (at == std::string::npos || out.find('\n', at) == std::string::npos) return std::nullopt;
  return static_cast<std::uint16_t>(std::stoul(out.substr(at + announced.size())));
}

}  // namespace

WsrServer::WsrServer(const ServeSetup& setup) {
  std::vector<std::string> command{WSR_BINARY, "serve",   "-p",        "0",        "--name",
                                   setup.name, "--store", setup.store, "--shards", std::to_string(setup.shards)};
  command.insert(command.end(), setup.more.begin(), setup.more.end());
  if (setup.descriptors != 0) {
    const auto limited = fmt::format("ulimit -Sn {0} && ulimit -Hn {0} && exec \"$@\"", setup.descriptors);
    command.insert(command.begin(), {"/bin/sh", "-c", limited, "sh"});
  }
  const auto runtime = setup.runtime_dir.empty() ? runtime_.path().string() : setup.runtime_dir;
  process_ = std::make_unique<Process>(command, Environment{{"XDG_RUNTIME_DIR", runtime}});
  const auto is_up = [this] { return announced_port(process_->out()).has_value() || !process_->is_running(); };
  if (!wait_until(is_up, start_within) || !announced_port(process_->out())) {
    throw std::runtime_error(
        fmt::format("wsr serve did not come up\nstdout: {}\nstderr: {}", process_->out(), process_->err()));
  }
  port_ = *announced_port(process_->out());
}

std::string WsrServer::url() const { return fmt::format("http://127.0.0.1:{}", port_); }

nlohmann::json WsrServer::stats() const { return get("/api/stats").json(); }

nlohmann::json WsrServer::owners(std::string_view client) const {
  const auto answer = get(fmt::format("/api/owners/{}", client));
  if (answer.status == 404 && answer.json().at("error").at("code") == "offline") return nlohmann::json::array();
  if (answer.status != 200) throw std::runtime_error(fmt::format("owners of {}: {}", client, answer.body));
  return answer.json().at("owners");
}

std::string WsrServer::attachment(std::string_view client) const {
  const auto rows = owners(client);
  return rows.empty() ? std::string{} : rows.at(0).at("connection").get<std::string>();
}

unsigned WsrServer::shard_of(std::string_view client) const {
  const auto at = attachment(client);
  const auto first = at.find('/');
  if (first == std::string::npos) throw std::runtime_error(fmt::format("{} is offline", client));
  return static_cast<unsigned>(std::stoul(at.substr(first + 1)));
}

std::uint64_t WsrServer::online() const {
  const auto answer = get("/api/count");
  if (answer.status != 200) throw std::runtime_error("count: " + answer.body);
  return answer.json().at("online").get<std::uint64_t>();
}

unsigned WsrServer::ready() const {
  try {
    return http(port_, "GET", "/readyz", {}, {}, milliseconds{1'000}).status;
  } catch (const std::runtime_error&) {
    return 0;
  }
}

nlohmann::json WsrServer::send(std::string_view to, std::string_view data) const {
  const auto answer =
      http(port_, "POST", "/api/send", fmt::format(R"({{"to":{},"data":{}}})", nlohmann::json(to).dump(), data));
  if (answer.status != 200) throw std::runtime_error("send: " + answer.body);
  return answer.json();
}

std::uint64_t sum_of_words(const nlohmann::json& stats) {
  std::uint64_t sum = 0;
  for (const auto& word : stats.at("words")) {
    if (word.is_object()) {
      for (const auto& reason : word) sum += reason.get<std::uint64_t>();
    } else {
      sum += word.get<std::uint64_t>();
    }
  }
  return sum;
}

}  // namespace wsr::test
