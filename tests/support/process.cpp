#include "tests/support/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string_view>

extern char** environ;

namespace wsr::test {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> environment_with(const Environment& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("WSR_")) all.emplace_back(*entry);
  }
  for (const auto& [name, value] : added) {
    std::erase_if(all, [&name = name](const std::string& entry) { return entry.starts_with(name + "="); });
    all.push_back(name + "=" + value);
  }
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (auto& s : strings) all.push_back(s.data());
  all.push_back(nullptr);
  return all;
}

[[noreturn]] void become(pid_t parent, char* const* argv, char* const* envp, const char* in, const char* out,
                         const char* err) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);  // the parent has died between fork and prctl
  const int in_fd = ::open(in, O_RDONLY);
  const int out_fd = ::open(out, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int err_fd = ::open(err, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (::dup2(in_fd, 0) < 0 || ::dup2(out_fd, 1) < 0 || ::dup2(err_fd, 2) < 0) ::_exit(126);
  for (int fd = 3; fd < 1024; ++fd) ::close(fd);  // the child starts without the test's sockets
  ::execve(argv[0], argv, envp);
  ::_exit(127);
}

}  // namespace

TempDir::TempDir() {
  auto name = (std::filesystem::temp_directory_path() / "wsr-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory: " + name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Process::Process(const std::vector<std::string>& command, const Environment& environment, std::string input) {
  auto arguments = command;
  auto settings = environment_with(environment);
  const auto argv = pointers(arguments);
  const auto envp = pointers(settings);
  const auto in = (dir_.path() / "in").string();
  const auto out = (dir_.path() / "out").string();
  const auto err = (dir_.path() / "err").string();
  std::ofstream(in, std::ios::binary) << input;
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error(fmt::format("cannot fork: {}", std::strerror(errno)));
  if (pid_ == 0) become(parent, argv.data(), envp.data(), in.c_str(), out.c_str(), err.c_str());
}

Process::~Process() {
  if (end_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
}

void Process::signal(int number) {
  if (end_) throw std::runtime_error("the process to signal has ended already");
  ::kill(pid_, number);
}

std::optional<Process::End> Process::wait(milliseconds within) {
  const auto has_ended = [this] {
    if (end_) return true;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) != pid_) return false;
    end_ = WIFEXITED(status) ? End{WEXITSTATUS(status), 0} : End{std::nullopt, WTERMSIG(status)};
    return true;
  };
  if (!wait_until(has_ended, within)) return std::nullopt;
  return end_;
}

std::string Process::out() const { return contents(dir_.path() / "out"); }
std::string Process::err() const { return contents(dir_.path() / "err"); }

Ran run(const std::vector<std::string>& command, const Environment& environment, std::string input,
        milliseconds within) {
  Process process(command, environment, std::move(input));
  const auto end = process.wait(within);
  if (!end) throw std::runtime_error(fmt::format("{} still runs after {} ms", command.front(), within.count()));
  return {end->exit_code.value_or(-end->signal), process.out(), process.err()};
}

std::size_t open_descriptors(pid_t pid) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
    static_cast<void>(entry);
    ++count;
  }
  return count;
}

std::size_t resident_bytes(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::size_t total = 0, resident = 0;
  if (!(file >> total >> resident)) throw std::runtime_error(fmt::format("process {} is gone", pid));
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t peak_resident_bytes(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) * 1024;
  }
  throw std::runtime_error(fmt::format("process {} is gone", pid));
}

}  // namespace wsr::test
