#include "tests/support/redis_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "tests/support/wait.hpp"

namespace wsr::test {
namespace {

using namespace std::chrono_literals;

struct ContextDeleter {
  void operator()(redisContext* context) const { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, ContextDeleter>;
struct ReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

std::string text_of(const redisReply& reply) {
  switch (reply.type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply.integer);
    case REDIS_REPLY_NIL:
      return "";
    case REDIS_REPLY_ARRAY: {
      std::string text;
      for (std::size_t i = 0; i < reply.elements; ++i) {
        if (i != 0) text += '\n';
        text += text_of(*reply.element[i]);
      }
      return text;
    }
    default:
      return {reply.str, static_cast<std::size_t>(reply.len)};
  }
}

timeval to_timeval(milliseconds duration) {
  return {static_cast<time_t>(duration.count() / 1000), static_cast<suseconds_t>(duration.count() % 1000 * 1000)};
}

std::string ask(std::uint16_t port, const std::string& password, std::initializer_list<std::string_view> words,
                milliseconds within) {
  const Context context{redisConnectWithTimeout("127.0.0.1", port, to_timeval(within))};
  if (!context || context->err != 0) throw std::runtime_error("redis-server cannot be reached");
  redisSetTimeout(context.get(), to_timeval(within));
  if (!password.empty()) {
    const std::unique_ptr<redisReply, ReplyDeleter> ignored{
        static_cast<redisReply*>(redisCommand(context.get(), "AUTH %s", password.c_str()))};
  }
  std::vector<const char*> arguments;
  std::vector<std::size_t> lengths;
  for (const std::string_view word : words) {
    arguments.push_back(word.data());
    lengths.push_back(word.size());
  }
  const std::unique_ptr<redisReply, ReplyDeleter> reply{static_cast<redisReply*>(
      redisCommandArgv(context.get(), static_cast<int>(arguments.size()), arguments.data(), lengths.data()))};
  if (!reply) throw std::runtime_error(std::string{"redis-server did not answer: "} + context->errstr);
  return text_of(*reply);
}

}  // namespace

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool is_bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                        ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  ::close(fd);
  if (!is_bound) throw std::runtime_error("no free port on loopback");
  return ntohs(address.sin_port);
}

std::optional<std::string> find_redis_server() {
  const char* path = std::getenv("PATH");
  std::istringstream folders{path == nullptr ? "/usr/bin:/usr/local/bin" : path};
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const char* name : {"redis-server", "valkey-server"}) {
      const std::string program = folder + '/' + name;
      if (::access(program.c_str(), X_OK) == 0) return program;
    }
  }
  return std::nullopt;
}

RedisServer::RedisServer(std::vector<std::string> more, std::string password)
    : more_(std::move(more)), password_(std::move(password)) {
  std::string name = (std::filesystem::temp_directory_path() / "wsr-redis-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory for redis-server");
  dir_ = name;
  for (int attempt = 1;; ++attempt) {
    port_ = free_port();
    try {
      start();
      return;
    } catch (const std::runtime_error&) {
      // Somebody else may have taken the port between our look and its bind.
      if (attempt == 3) throw;
    }
  }
}

RedisServer::~RedisServer() {
  end(SIGKILL);
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

std::string RedisServer::url(std::uint16_t port) const {
  const std::string who = password_.empty() ? "" : ":" + password_ + "@";
  return "redis://" + who + "127.0.0.1:" + std::to_string(port);
}

void RedisServer::start() {
  const auto program = find_redis_server();
  if (!program) throw std::runtime_error(no_redis_server);
  std::vector<std::string> words{*program,
                                 "--port",
                                 std::to_string(port_),
                                 "--bind",
                                 "127.0.0.1",
                                 "--save",
                                 "",
                                 "--appendonly",
                                 "no",
                                 "--dir",
                                 dir_.string(),
                                 "--unixsocket",
                                 socket_path(),
                                 "--logfile",
                                 (dir_ / "redis.log").string()};
  if (!password_.empty()) words.insert(words.end(), {"--requirepass", password_});
  words.insert(words.end(), more_.begin(), more_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error("redis-server cannot be started: fork failed");
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
    const int null = ::open("/dev/null", O_RDWR);
    ::dup2(null, 0);
    ::dup2(null, 1);
    ::dup2(null, 2);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  pid_ = pid;
  bool has_ended = false;
  const bool is_up = wait_until(
      [&] {
        has_ended = ::waitpid(pid_, nullptr, WNOHANG) == pid_;
        return has_ended || is_answering();
      },
      10s);
  if (has_ended) pid_ = -1;
  if (has_ended || !is_up) {
    end(SIGKILL);
    throw std::runtime_error("redis-server does not answer on port " + std::to_string(port_) + ":\n" + log());
  }
}

bool RedisServer::is_answering() {
  try {
    return ask(port_, password_, {"PING"}, 200ms) == "PONG";
  } catch (const std::runtime_error&) {
    return false;
  }
}

std::string RedisServer::command(std::initializer_list<std::string_view> words) {
  return ask(port_, password_, words, 10s);
}

void RedisServer::flushall() { command({"FLUSHALL"}); }
void RedisServer::pause(std::chrono::milliseconds duration) {
  command({"CLIENT", "PAUSE", std::to_string(duration.count()), "ALL"});
}
void RedisServer::unpause() { command({"CLIENT", "UNPAUSE"}); }

void RedisServer::lose_directory() {
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

void RedisServer::kill() { end(SIGKILL); }
void RedisServer::stop() { end(SIGTERM); }
void RedisServer::restart() {
  end(SIGKILL);
  start();
}

void RedisServer::end(int signal) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string RedisServer::log() const {
  std::ifstream file{dir_ / "redis.log"};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace wsr::test
