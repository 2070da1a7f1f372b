#include "cli/terminal.hpp"

#include <algorithm>

namespace wsr::cli {

std::string shown(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  // U+0080 to U+009F: some terminals take them for the beginning of a command, too.
  for (std::size_t at = 0; (at = out.find('\xC2', at)) != std::string::npos; ++at) {
    const auto next = at + 1 < out.size() ? static_cast<unsigned char>(out[at + 1]) : 0;
    if (next >= 0x80 && next < 0xA0) out.replace(at, 2, "?");
  }
  return out;
}

std::string table(const std::vector<std::vector<std::string>>& lines) {
  // Counted in code points: good enough for names, and never cuts one.
  const auto width = [](const std::string& cell) {
    return static_cast<std::size_t>(
        std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
  };
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      out += line[i];
      if (i + 1 < line.size()) out.append(widths[i] - width(line[i]) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

Interruption::Interruption() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
}

bool Interruption::is_asked_within(std::chrono::milliseconds wait) const {
  const timespec time{wait.count() / 1000, (wait.count() % 1000) * 1'000'000};
  return sigtimedwait(&signals_, nullptr, &time) > 0;
}

}  // namespace wsr::cli
