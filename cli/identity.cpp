#include "cli/identity.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <random>

#include "cli/exit_code.hpp"

namespace wsr::cli {
namespace {

constexpr std::size_t key_id_bytes_max = 32;
constexpr std::size_t secret_bytes_min = 16;

}  // namespace

std::string sanitised_server_name(std::string_view text) {
  std::string name(text.substr(0, server_name_bytes_max));
  for (char& c : name) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                          c == '_' || c == ':' || c == '-';
    if (!is_plain) c = '-';
  }
  return name;
}

std::string default_server_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'w', 's', 'r'};
  const auto pid = fmt::format(":{}", ::getpid());
  // A long host name is cut rather than the pid, which tells two servers of one host apart.
  const auto short_host = std::string_view(host.data()).substr(0, server_name_bytes_max - pid.size());
  return sanitised_server_name(short_host) + pid;
}

ServerId new_server_id(std::string_view name) {
  std::random_device random;
  const auto bits = (static_cast<std::uint64_t>(random()) << 32) | random();
  auto id = ServerId::make(name, make_incarnation(bits));
  if (!id) throw UsageError(fmt::format("--name: {}", id.error().message));
  return *id;
}

BatchKeys parse_bus_keys(const std::vector<std::string>& texts) {
  BatchKeys keys;
  for (const auto& text : texts) {
    const auto colon = text.find(':');
    const auto id = text.substr(0, colon);
    const auto secret = colon == std::string::npos ? std::string() : text.substr(colon + 1);
    // The text itself is not repeated in a message: it holds a secret.
    if (id.empty() || id.size() > key_id_bytes_max || secret.size() < secret_bytes_min) {
      throw UsageError(fmt::format("--bus-key: write id:secret, an id of 1-{} bytes and a secret of at least {}",
                                   key_id_bytes_max, secret_bytes_min));
    }
    const bool is_known =
        std::any_of(keys.keys.begin(), keys.keys.end(), [&](const auto& key) { return key.id == id; });
    if (is_known) throw UsageError(fmt::format("--bus-key: the id '{}' is given twice", id));
    keys.keys.push_back({id, secret});
  }
  return keys;
}

}  // namespace wsr::cli
