// wsrload: load for two `wsr serve`, from one thread with epoll and its own framing.
//
//   wsrload direct --a PORT --b PORT --pairs 64 --window 16 --seconds 5 --pids 123,124,125
//   wsrload direct --a PORT --b PORT --pairs 200 --rate 5000           open loop
//   wsrload fanin  --a PORT --b PORT --pairs 64 --window 4             64 senders on A, one receiver on B
//   wsrload fanout --a PORT --b PORT --members 1000 --window 4         one sender on A, one room over A and B
//   wsrload rooms  --a PORT --b PORT --rooms 1000 --members 5 --window 64   any member pushes, all hear it
//   wsrload idle   --a PORT --connections 10000 --pids 123             RSS per idle connection
//
// Direct: senders sit on A, receivers on B. Rooms: every second member sits on B. A message carries its sender, a
// number and a stamp, so every loss, double and change of order is seen at each receiver; of a room, every member must
// have heard the same order. A message is in flight until all have it. Latency counts from the stamp to the recv() that
// brought the message; in an open loop the stamp is the *scheduled* time, so a server that falls behind cannot hide it.
// One JSON object on stdout.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Nanos = std::int64_t;
constexpr Nanos second = 1'000'000'000;
constexpr std::size_t payload_bytes = 128;   // what the user's `data` string holds
constexpr std::size_t handshakes_max = 128;  // in progress at once: a listen queue that overflows costs 1 s each
constexpr Nanos stall_after = 3 * second;    // closed loop: then the window is opened again and a stall counted
constexpr Nanos drain_quiet = second;        // after the load: give up after so long without a message
constexpr Nanos drain_max = 5 * second;

Nanos now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * second + t.tv_nsec;
}

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "wsrload: %s\n", what.c_str());
  std::exit(1);
}

struct Options {
  std::string workload;
  int port_a = 0, port_b = 0;
  std::size_t pairs = 1;
  std::size_t window = 1;
  double rate = 0;  // messages a second over all pairs; 0: closed loop
  double warmup = 1, seconds = 5;
  std::size_t rooms = 1;
  std::size_t members = 1;
  std::size_t connections = 10'000;
  std::vector<int> pids;  // whose CPU time is summed; the first is A
};

// ---- what the kernel says about the servers -----------------------------------------------------------------------

/// User + system seconds of a process with all its threads, or 0 when it is gone.
double cpu_seconds(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const auto end_of_name = line.rfind(')');  // the name may hold spaces
  if (end_of_name == std::string::npos) return 0;
  std::istringstream fields(line.substr(end_of_name + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double cpu_seconds(const std::vector<int>& pids) {
  double sum = 0;
  for (const int pid : pids) sum += cpu_seconds(pid);
  return sum;
}

double own_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

/// smaps_rollup counts pages exactly; VmRSS in status lags by up to 64 pages a thread.
double rss_kb(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("Rss:")) return std::strtod(line.c_str() + 4, nullptr);
  }
  fail("cannot read the memory of process " + std::to_string(pid));
}

// ---- what one receiver has seen of one sender ---------------------------------------------------------------------

class Ledger {
public:
  void saw(std::uint64_t number) {
    if (number == next_) {
      ++next_;
      ++distinct_;
    } else if (number > next_) {
      for (auto n = next_; n < number; ++n) missing_.insert(n);
      next_ = number + 1;
      ++distinct_;
    } else if (missing_.erase(number) == 1) {
      ++misordered_;
      ++distinct_;
    } else {
      ++doubled_;
    }
  }
  [[nodiscard]] std::uint64_t distinct() const { return distinct_; }
  [[nodiscard]] std::uint64_t doubled() const { return doubled_; }
  [[nodiscard]] std::uint64_t misordered() const { return misordered_; }

private:
  std::uint64_t next_ = 0, distinct_ = 0, doubled_ = 0, misordered_ = 0;
  std::set<std::uint64_t> missing_;  // skipped so far; empty on a healthy run
};

// ---- connections --------------------------------------------------------------------------------------------------

struct Connection {
  enum class State : std::uint8_t { upgrading, greeting, open };
  int fd = -1;
  State state = State::upgrading;
  bool is_dirty = false;        // in Load::dirty_
  bool waits_writable = false;  // EPOLLOUT is asked for
  bool is_receiver = false;
  std::uint32_t seat = 0;   // its place among those who hear the same senders
  std::uint64_t heard = 0;  // a hash of what it heard, in its order
  std::string user;
  std::string in;  // a partial frame; empty while idle
  std::string out;
};

/// A sender's side of the books.
struct Sender {
  Connection* connection = nullptr;
  std::string begin;  // its command, up to the data
  std::uint64_t sent = 0;
  std::size_t outstanding = 0;
  Nanos progress_at = 0;             // last delivery of one of its messages
  std::vector<Ledger> ledgers;       // one for each who hears it, by its seat
  std::deque<std::uint32_t> unread;  // how many have not got each message yet, from `complete` on
  std::uint64_t complete = 0;

  /// True: now all have it.
  bool is_read(std::uint64_t number) {
    if (number < complete || --unread[number - complete] != 0) return false;
    while (!unread.empty() && unread.front() == 0) {
      unread.pop_front();
      ++complete;
    }
    return true;
  }
};

class Load {
public:
  explicit Load(Options options) : o_(std::move(options)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    recv_.resize(256 * 1024);
  }

  void direct();
  void fan_in();
  void fan_out();
  void rooms();
  void idle();

private:
  Connection& dial(int port, const std::string& user);
  void dial_all_ready();
  void run_traffic(const char* kind);
  void turn(Nanos until);
  void read_from(Connection& c);
  std::size_t parse(Connection& c, std::string_view bytes);
  void on_text(Connection& c, std::string_view text);
  void on_data(Connection& c, std::string_view data);
  void join_all(const std::string& room, std::size_t from, std::size_t to);
  void send_next(Sender& s, Nanos stamp);
  void send_again(Sender& s);
  void frame(Connection& c, unsigned opcode, std::string_view payload);
  void mark_dirty(Connection& c);
  void flush(Connection& c);
  [[nodiscard]] bool is_open_loop() const { return o_.rate > 0; }

  Options o_;
  int epoll_;
  std::string recv_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> dirty_;
  std::vector<Sender> senders_;
  std::size_t ready_ = 0, joined_ = 0;
  bool is_shared_window_ = false;  // the window is for all senders together, and any of them is next
  std::vector<std::pair<std::size_t, std::size_t>> audiences_;  // rooms: connections that must hear the same
  Nanos received_at_ = 0;
  std::uint32_t mask_ = 0x9E3779B9;
  std::uint64_t random_ = 0x9E3779B97F4A7C15ULL;

  bool is_sending_ = false;
  Nanos window_from_ = 0, window_to_ = 0;  // the measured time
  std::uint64_t deliveries_ = 0;           // in the window
  std::uint64_t received_ = 0, bad_ = 0, errors_ = 0, stalls_ = 0;
  std::vector<float> latencies_us_;
};

Connection& Load::dial(int port, const std::string& user) {
  auto c = std::make_unique<Connection>();
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) fail(std::string("socket: ") + std::strerror(errno));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(c->fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    fail("cannot connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  }
  const int one = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = c.get();
  epoll_ctl(epoll_, EPOLL_CTL_ADD, c->fd, &event);
  c->user = user;
  c->out = "GET /chat?user=" + user + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
           "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: d3NyLWxvYWQtMDEyMzQ1Ng==\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wsr.v1\r\n\r\n";
  mark_dirty(*c);
  connections_.push_back(std::move(c));
  // Waits while too many handshakes are under way.
  const Nanos give_up = now() + 30 * second;
  while (connections_.size() - ready_ >= handshakes_max) {
    turn(now() + second / 10);
    if (now() > give_up) fail("no welcome within 30 s");
  }
  return *connections_.back();
}

void Load::dial_all_ready() {
  const Nanos give_up = now() + 30 * second;
  while (ready_ < connections_.size()) {
    turn(now() + second / 10);
    if (now() > give_up) fail("no welcome within 30 s");
  }
}

void Load::mark_dirty(Connection& c) {
  if (c.is_dirty) return;
  c.is_dirty = true;
  dirty_.push_back(&c);
}

void Load::flush(Connection& c) {
  c.is_dirty = false;
  std::size_t written = 0;
  while (written < c.out.size()) {
    const auto n = send(c.fd, c.out.data() + written, c.out.size() - written, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) fail("the connection of " + c.user + " broke: " + std::strerror(errno));
    written += static_cast<std::size_t>(n);
  }
  c.out.erase(0, written);
  if (c.out.empty() && c.out.capacity() > 64 * 1024) c.out.shrink_to_fit();
  if (c.waits_writable == !c.out.empty()) return;
  c.waits_writable = !c.out.empty();
  epoll_event event{};
  event.events = c.waits_writable ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.ptr = &c;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, c.fd, &event);
}

/// One turn of the loop: what came, then one write for each connection that has something to say.
void Load::turn(Nanos until) {
  for (std::size_t i = 0; i < dirty_.size(); ++i) flush(*dirty_[i]);
  dirty_.clear();
  const Nanos wait = std::max<Nanos>(0, until - now());
  const timespec timeout{wait / second, wait % second};
  epoll_event events[512];
  const int count = epoll_pwait2(epoll_, events, 512, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    auto& c = *static_cast<Connection*>(events[i].data.ptr);
    if ((events[i].events & EPOLLOUT) != 0) mark_dirty(c);
    if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_from(c);
  }
  for (std::size_t i = 0; i < dirty_.size(); ++i) flush(*dirty_[i]);
  dirty_.clear();
}

void Load::read_from(Connection& c) {
  const auto n = recv(c.fd, recv_.data(), recv_.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) fail("the server closed the connection of " + c.user);
  received_at_ = now();
  const std::string_view fresh(recv_.data(), static_cast<std::size_t>(n));
  if (c.in.empty()) {
    const auto used = parse(c, fresh);
    c.in.assign(fresh.substr(used));
  } else {
    c.in.append(fresh);
    c.in.erase(0, parse(c, c.in));
  }
  if (c.in.empty() && c.in.capacity() > 256) std::string().swap(c.in);
}

/// Takes every whole frame (or the answer to the upgrade) and returns how many bytes that were.
std::size_t Load::parse(Connection& c, std::string_view bytes) {
  std::size_t used = 0;
  if (c.state == Connection::State::upgrading) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    if (!bytes.starts_with("HTTP/1.1 101")) fail("refused: " + std::string(bytes.substr(0, bytes.find('\r'))));
    c.state = Connection::State::greeting;
    used = end + 4;
  }
  while (bytes.size() - used >= 2) {
    const auto* head = reinterpret_cast<const unsigned char*>(bytes.data()) + used;
    const auto left = bytes.size() - used;
    std::size_t length = head[1] & 0x7F, head_bytes = 2;
    if (length == 126) {
      if (left < 4) break;
      length = static_cast<std::size_t>(head[2]) << 8 | head[3];
      head_bytes = 4;
    } else if (length == 127) {
      if (left < 10) break;
      length = 0;
      for (int i = 2; i < 10; ++i) length = length << 8 | head[i];
      head_bytes = 10;
    }
    if ((head[1] & 0x80) != 0) fail("the server sent a masked frame");
    if (left < head_bytes + length) break;
    const auto payload = bytes.substr(used + head_bytes, length);
    switch (head[0] & 0x0F) {
      case 1:
        on_text(c, payload);
        break;
      case 9:
        frame(c, 10, payload);
        break;
      case 10:
        break;
      case 8: {
        const auto code =
            length >= 2 ? static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]) : 0;
        fail("the server closed " + c.user + " with " + std::to_string(code));
      }
      default:
        fail("a frame of an unexpected kind");
    }
    used += head_bytes + length;
  }
  return used;
}

void Load::on_text(Connection& c, std::string_view text) {
  constexpr std::string_view stamp_begins = R"("data":"@@)";
  if (text.starts_with(R"({"op":"message")") || text.starts_with(R"({"op":"room")")) {
    const auto at = text.find(stamp_begins);
    if (at == std::string_view::npos || text.size() < at + stamp_begins.size() + payload_bytes - 2) {
      ++bad_;
      return;
    }
    if (!c.is_receiver) fail("a message came to " + c.user + ", who is a sender");
    on_data(c, text.substr(at + stamp_begins.size(), payload_bytes - 2));
  } else if (text.starts_with(R"({"op":"welcome")")) {
    if (c.state != Connection::State::greeting) fail("a second welcome");
    c.state = Connection::State::open;
    ++ready_;
  } else if (text.starts_with(R"({"op":"ok")")) {
    ++joined_;
  } else if (text.starts_with(R"({"op":"error")") && errors_++ == 0) {
    std::fprintf(stderr, "wsrload: %.*s\n", static_cast<int>(text.size()), text.data());
  }
}

/// `data`: sender, number and stamp, each ten to twenty digits, then filling.
void Load::on_data(Connection& c, std::string_view data) {
  const auto digits = [&](std::size_t from, std::size_t count) {
    std::uint64_t value = 0;
    for (const char d : data.substr(from, count)) value = value * 10 + static_cast<std::uint64_t>(d - '0');
    return value;
  };
  const auto sender = digits(0, 10);
  const auto number = digits(11, 20);
  const auto stamp = static_cast<Nanos>(digits(32, 20));
  if (sender >= senders_.size() || number >= senders_[sender].sent || stamp > received_at_) {
    ++bad_;
    return;
  }
  auto& s = senders_[sender];
  s.ledgers[c.seat].saw(number);
  c.heard = (c.heard ^ (sender << 40 ^ number)) * 0x9E3779B97F4A7C15ULL;
  ++received_;
  s.progress_at = received_at_;
  const bool in_window = received_at_ >= window_from_ && received_at_ < window_to_;
  if (in_window) ++deliveries_;
  if (is_open_loop() ? (stamp >= window_from_ && stamp < window_to_) : in_window) {
    latencies_us_.push_back(static_cast<float>(received_at_ - stamp) / 1000.0F);
  }
  if (!s.is_read(number)) return;
  if (s.outstanding > 0) --s.outstanding;
  if (!is_open_loop() && is_sending_) send_again(s);
}

void Load::send_again(Sender& s) {
  if (!is_shared_window_) {
    if (s.outstanding < o_.window) send_next(s, received_at_);
    return;
  }
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  send_next(senders_[random_ % senders_.size()], received_at_);
}

void Load::send_next(Sender& s, Nanos stamp) {
  char stamped[64];
  const auto sender = static_cast<unsigned long>(&s - senders_.data());
  const int length = std::snprintf(stamped, sizeof stamped, "@@%010lu %020lu %020ld ", sender,
                                   static_cast<unsigned long>(s.sent), static_cast<long>(stamp));
  std::string text = s.begin;
  text.append(stamped, static_cast<std::size_t>(length));
  text.append(payload_bytes - static_cast<std::size_t>(length), 'x');
  text += "\"}";
  ++s.sent;
  ++s.outstanding;
  s.unread.push_back(static_cast<std::uint32_t>(s.ledgers.size()));
  frame(*s.connection, 1, text);
}

/// Appends one masked frame; clients must mask.
void Load::frame(Connection& c, unsigned opcode, std::string_view payload) {
  mask_ ^= mask_ << 13;
  mask_ ^= mask_ >> 17;
  mask_ ^= mask_ << 5;
  char key[4];
  std::memcpy(key, &mask_, 4);
  c.out += static_cast<char>(0x80 | opcode);
  if (payload.size() < 126) {
    c.out += static_cast<char>(0x80 | payload.size());
  } else {
    c.out += static_cast<char>(0x80 | 126);
    c.out += static_cast<char>(payload.size() >> 8);
    c.out += static_cast<char>(payload.size() & 0xFF);
  }
  c.out.append(key, 4);
  const auto at = c.out.size();
  c.out.append(payload);
  for (std::size_t i = 0; i < payload.size(); ++i) c.out[at + i] = static_cast<char>(c.out[at + i] ^ key[i & 3]);
  mark_dirty(c);
}

// ---- workloads ----------------------------------------------------------------------------------------------------

std::string to_client(const std::string& client) { return R"({"op":"send","to":")" + client + R"(","data":")"; }
std::string to_room(const std::string& room) { return R"({"op":"push","room":")" + room + R"(","data":")"; }

void Load::direct() {
  const auto tag = std::to_string(getpid());
  senders_.resize(o_.pairs);
  for (std::size_t i = 0; i < o_.pairs; ++i) {
    auto& receiver = dial(o_.port_b, "r" + tag + "-" + std::to_string(i));
    receiver.is_receiver = true;
    auto& sender = dial(o_.port_a, "s" + tag + "-" + std::to_string(i));
    senders_[i].connection = &sender;
    senders_[i].begin = to_client(receiver.user);
    senders_[i].ledgers.resize(1);
  }
  run_traffic("direct");
}

void Load::fan_in() {
  const auto tag = std::to_string(getpid());
  auto& receiver = dial(o_.port_b, "r" + tag);
  receiver.is_receiver = true;
  senders_.resize(o_.pairs);
  for (std::size_t i = 0; i < o_.pairs; ++i) {
    senders_[i].connection = &dial(o_.port_a, "s" + tag + "-" + std::to_string(i));
    senders_[i].begin = to_client(receiver.user);
    senders_[i].ledgers.resize(1);
  }
  run_traffic("fanin");
}

/// Connections `from` to `to` take their seats in the room.
void Load::join_all(const std::string& room, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    Connection& member = *connections_[i];
    member.is_receiver = true;
    member.seat = static_cast<std::uint32_t>(i - from);
    frame(member, 1, R"({"op":"join","room":")" + room + R"(","presence":false})");
  }
  audiences_.emplace_back(from, to);
}

void Load::fan_out() {
  const auto tag = std::to_string(getpid());
  for (std::size_t i = 0; i < o_.members; ++i) {
    dial(i % 2 == 0 ? o_.port_a : o_.port_b, "m" + tag + "-" + std::to_string(i));
  }
  dial_all_ready();
  const std::string room = "room-" + tag;
  join_all(room, 0, o_.members);
  senders_.resize(1);
  senders_[0].connection = &dial(o_.port_a, "s" + tag);
  senders_[0].begin = to_room(room);
  senders_[0].ledgers.resize(o_.members);
  run_traffic("fanout");
}

void Load::rooms() {
  const auto tag = std::to_string(getpid());
  is_shared_window_ = true;
  for (std::size_t i = 0; i < o_.rooms * o_.members; ++i) {
    dial(i % 2 == 0 ? o_.port_a : o_.port_b, "m" + tag + "-" + std::to_string(i));
  }
  dial_all_ready();
  senders_.resize(connections_.size());
  for (std::size_t r = 0; r < o_.rooms; ++r) {
    const std::string room = "room-" + tag + "-" + std::to_string(r);
    join_all(room, r * o_.members, (r + 1) * o_.members);
    for (std::size_t i = r * o_.members; i < (r + 1) * o_.members; ++i) {
      senders_[i].connection = connections_[i].get();
      senders_[i].begin = to_room(room);
      senders_[i].ledgers.resize(o_.members);
    }
  }
  run_traffic("rooms");
}

double percentile(std::vector<float>& values, double part) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void Load::run_traffic(const char* kind) {
  dial_all_ready();
  std::size_t seats = 0;
  for (const auto& [from, to] : audiences_) seats += to - from;
  for (const Nanos give_up = now() + 30 * second; joined_ < seats;) {
    turn(now() + second / 10);
    if (now() > give_up) fail("not everybody is in its room within 30 s");
  }
  // Owner rows and subscriptions are there when the welcome is; this only lets the handshakes' CPU time pass.
  for (const Nanos until = now() + second / 5; now() < until;) turn(until);

  const Nanos begin = now();
  window_from_ = begin + static_cast<Nanos>(o_.warmup * 1e9);
  window_to_ = window_from_ + static_cast<Nanos>(o_.seconds * 1e9);
  is_sending_ = true;
  if (!is_open_loop()) {
    received_at_ = now();
    for (auto& s : senders_) s.progress_at = begin;
    if (is_shared_window_) {
      for (std::size_t i = 0; i < o_.window; ++i) send_again(senders_[0]);
    } else {
      for (auto& s : senders_) {
        for (std::size_t i = 0; i < o_.window; ++i) send_next(s, now());
      }
    }
  }

  double cpu_from = -1, own_from = 0;
  std::uint64_t scheduled = 0;
  Nanos stalls_checked = begin;
  for (Nanos at = begin; at < window_to_; at = now()) {
    if (cpu_from < 0 && at >= window_from_) {
      cpu_from = cpu_seconds(o_.pids);
      own_from = own_cpu_seconds();
    }
    Nanos wake = std::min(window_to_, cpu_from < 0 ? window_from_ : window_to_);
    if (is_open_loop()) {
      const auto due_at = [&](std::uint64_t k) {
        return begin + static_cast<Nanos>(static_cast<double>(k) * 1e9 / o_.rate);
      };
      for (; due_at(scheduled) <= at; ++scheduled) send_next(senders_[scheduled % senders_.size()], due_at(scheduled));
      wake = std::min(wake, due_at(scheduled));
    } else if (!is_shared_window_ && at - stalls_checked > second / 10) {
      stalls_checked = at;
      for (auto& s : senders_) {
        if (at - s.progress_at < stall_after) continue;
        ++stalls_;
        s.progress_at = at;
        s.outstanding = 0;
        for (std::size_t i = 0; i < o_.window; ++i) send_next(s, at);
      }
    }
    turn(std::min(wake, at + second / 10));
  }
  const double cpu = cpu_seconds(o_.pids) - std::max(0.0, cpu_from);
  const double own = own_cpu_seconds() - own_from;

  is_sending_ = false;
  std::uint64_t sent = 0;  // counted once for each who is to get it
  for (const auto& s : senders_) sent += s.sent * s.ledgers.size();
  const auto sum_of = [&](std::uint64_t (Ledger::*figure)() const) {
    std::uint64_t sum = 0;
    for (const auto& s : senders_) {
      for (const auto& ledger : s.ledgers) sum += (ledger.*figure)();
    }
    return sum;
  };
  const auto distinct = [&] { return sum_of(&Ledger::distinct); };
  const Nanos drain_from = now();
  received_at_ = drain_from;
  while (received_ < sent && now() - received_at_ < drain_quiet && now() - drain_from < drain_max) {
    turn(now() + second / 20);
  }
  const std::uint64_t doubled = sum_of(&Ledger::doubled);
  std::uint64_t misordered = sum_of(&Ledger::misordered);
  if (distinct() == sent) {  // else the hashes differ by what is missing
    for (const auto& [from, to] : audiences_) {
      for (std::size_t i = from; i < to; ++i) misordered += connections_[i]->heard != connections_[from]->heard ? 1 : 0;
    }
  }
  const double per_million = deliveries_ == 0 ? 0 : cpu * 1e6 / static_cast<double>(deliveries_);
  std::printf(
      "{\"workload\":\"%s\",\"pairs\":%zu,\"window\":%zu,\"rate\":%.0f,\"seconds\":%.1f,\"deliveries_per_s\":%.0f,"
      "\"lat_p50_us\":%.1f,\"lat_p99_us\":%.1f,\"lat_p999_us\":%.1f,\"sent\":%lu,\"lost\":%lu,\"dup\":%lu,"
      "\"misordered\":%lu,\"bad\":%lu,\"errors\":%lu,\"stalls\":%lu,\"cpu_s_per_million\":%.2f,\"cpu_servers_cores\":%."
      "2f,"
      "\"cpu_gen_cores\":%.2f}\n",
      kind, o_.pairs, is_open_loop() ? 0 : o_.window, o_.rate, o_.seconds,
      static_cast<double>(deliveries_) / o_.seconds, percentile(latencies_us_, 0.5), percentile(latencies_us_, 0.99),
      percentile(latencies_us_, 0.999), static_cast<unsigned long>(sent), static_cast<unsigned long>(sent - distinct()),
      static_cast<unsigned long>(doubled), static_cast<unsigned long>(misordered), static_cast<unsigned long>(bad_),
      static_cast<unsigned long>(errors_), static_cast<unsigned long>(stalls_), per_million, cpu / o_.seconds,
      own / o_.seconds);
}

void Load::idle() {
  if (o_.pids.empty()) fail("idle needs --pids: whose memory to look at");
  const auto tag = std::to_string(getpid());
  // One connection first: what the first one costs (buffers, arenas) is not what the ten-thousandth costs.
  dial(o_.port_a, "first" + tag);
  dial_all_ready();
  const double before = rss_kb(o_.pids.front());
  const Nanos begin = now();
  for (std::size_t i = 0; i < o_.connections; ++i) dial(o_.port_a, "idle" + tag + "-" + std::to_string(i));
  dial_all_ready();
  const double took = static_cast<double>(now() - begin) / 1e9;
  for (const Nanos until = now() + 2 * second; now() < until;) turn(until);
  const double after = rss_kb(o_.pids.front());
  std::printf("{\"workload\":\"idle\",\"connections\":%zu,\"rss_kb_per_connection\":%.2f,\"connects_per_s\":%.0f}\n",
              o_.connections, (after - before) / static_cast<double>(o_.connections),
              static_cast<double>(o_.connections) / took);
}

Options parse_arguments(int count, char** values) {
  Options o;
  if (count < 2)
    fail("usage: wsrload direct|fanin|fanout|rooms|idle --a PORT [--b PORT] ...; see the top of bench/wsrload.cpp");
  o.workload = values[1];
  for (int i = 2; i < count; i += 2) {
    const std::string name = values[i];
    if (i + 1 == count) fail(name + " needs a value");
    const char* value = values[i + 1];
    const auto number = std::strtod(value, nullptr);
    if (name == "--a") {
      o.port_a = static_cast<int>(number);
    } else if (name == "--b") {
      o.port_b = static_cast<int>(number);
    } else if (name == "--pairs") {
      o.pairs = static_cast<std::size_t>(number);
    } else if (name == "--window") {
      o.window = static_cast<std::size_t>(number);
    } else if (name == "--rate") {
      o.rate = number;
    } else if (name == "--warmup") {
      o.warmup = number;
    } else if (name == "--seconds") {
      o.seconds = number;
    } else if (name == "--rooms") {
      o.rooms = static_cast<std::size_t>(number);
    } else if (name == "--members") {
      o.members = static_cast<std::size_t>(number);
    } else if (name == "--connections") {
      o.connections = static_cast<std::size_t>(number);
    } else if (name == "--pids") {
      std::istringstream list(value);
      for (std::string pid; std::getline(list, pid, ',');) o.pids.push_back(std::atoi(pid.c_str()));
    } else {
      fail("unknown option " + name);
    }
  }
  if (o.port_a == 0) fail("--a PORT is missing");
  if (o.port_b == 0) o.port_b = o.port_a;
  if (o.pairs == 0 || o.window == 0 || o.rooms == 0 || o.members == 0 || o.seconds <= 0) {
    fail("--pairs, --window, --rooms, --members and --seconds start at 1");
  }
  return o;
}

}  // namespace

int main(int count, char** values) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  const auto options = parse_arguments(count, values);
  Load load(options);
  if (options.workload == "direct") {
    load.direct();
  } else if (options.workload == "fanin") {
    load.fan_in();
  } else if (options.workload == "fanout") {
    load.fan_out();
  } else if (options.workload == "rooms") {
    load.rooms();
  } else if (options.workload == "idle") {
    load.idle();
  } else {
    fail("no workload '" + options.workload + "': direct, fanin, fanout, rooms, idle");
  }
}
