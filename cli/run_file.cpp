#include "cli/run_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace wsr::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t run_file_bytes_max = 16 * 1024;

std::string reason() { return std::strerror(errno); }

fs::path wanted_directory() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  std::error_code ignored;
  if (runtime != nullptr && *runtime == '/' && fs::is_directory(runtime, ignored)) return fs::path(runtime) / "wsr";
  return fs::path("/tmp") / fmt::format("wsr-{}", ::geteuid());
}

/// The file's text; nullopt if it is not a small plain file of ours.
std::optional<std::string> read_own(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  struct stat status {};
  std::string text(run_file_bytes_max, '\0');
  ssize_t size = -1;
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid()) {
    size = ::read(fd, text.data(), text.size());
  }
  ::close(fd);
  if (size < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::optional<RunRecord> read_record(const fs::path& path) {
  const auto text = read_own(path);
  if (!text) return std::nullopt;
  const auto json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    return RunRecord{json.at("pid").get<pid_t>(), json.at("started").get<std::string>(),
                     json.at("url").get<std::string>(), json.at("store").get<std::string>(),
                     json.at("name").get<std::string>()};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // not written by this program: left out like a file that is gone
  }
}

}  // namespace

std::string process_start(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  // The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
  const auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(line.substr(name_end + 1));
  std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
  constexpr std::size_t start_time = 22 - 3;                       // `rest` begins with field 3
  if (fields.size() <= start_time || fields[0] == "Z") return {};  // a zombie serves nobody
  return fields[start_time];
}

fs::path run_directory(Make make) {
  auto path = wanted_directory();
  if (make == Make::yes && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw std::runtime_error(fmt::format("cannot create the folder {}: {}", path.string(), reason()));
  }
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    if (make == Make::no && errno == ENOENT) return {};
    throw std::runtime_error(fmt::format("cannot inspect {}: {}", path.string(), reason()));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
    throw std::runtime_error(
        fmt::format("{} is not a private folder of yours (mode 0700), so its contents are not trusted: remove it, or "
                    "pass --server or --store",
                    path.string()));
  }
  return path;
}

RunFile::RunFile(const fs::path& directory, const RunRecord& record)
    : path_(directory / fmt::format("{}.json", record.pid)) {
  const nlohmann::ordered_json json = {{"pid", record.pid},
                                       {"started", record.started},
                                       {"url", record.url},
                                       {"store", record.store},
                                       {"name", record.name}};
  const auto text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  // Written beside and renamed: a reader sees all of it or nothing.
  const auto unfinished = path_.string() + ".new";
  ::unlink(unfinished.c_str());
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  const bool is_written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const auto why = reason();
  if (fd >= 0) ::close(fd);
  if (!is_written || ::rename(unfinished.c_str(), path_.c_str()) != 0) {
    ::unlink(unfinished.c_str());
    throw std::runtime_error(fmt::format("cannot write {}: {}", path_.string(), why));
  }
}

RunFile::~RunFile() { ::unlink(path_.c_str()); }

RunRecord own_record(std::string url, std::string store, std::string name) {
  const auto pid = ::getpid();
  return {pid, process_start(pid), std::move(url), std::move(store), std::move(name)};
}

std::vector<RunRecord> running_servers(const fs::path& directory) {
  std::vector<RunRecord> found;
  if (directory.empty()) return found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".json") continue;
    auto record = read_record(entry.path());
    if (record && !record->started.empty() && process_start(record->pid) == record->started) {
      found.push_back(std::move(*record));
    } else {
      ::unlink(entry.path().c_str());
    }
  }
  std::sort(found.begin(), found.end(), [](const RunRecord& a, const RunRecord& b) { return a.pid < b.pid; });
  return found;
}

}  // namespace wsr::cli
