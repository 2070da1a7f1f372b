// One call into each layer of the installed library: headers, link line and dependencies are all there.
#include <boost/asio/io_context.hpp>
#include <cstdio>

#include "core/base/ids.hpp"
#include "core/net/server.hpp"
#include "core/redis/backend.hpp"
#include "core/wire/utf8.hpp"

int main() {
  const auto ada = wsr::ClientId::parse("ada");
  const auto store = wsr::redis::Address::parse("redis://:secret@127.0.0.1:6379/1");
  if (!ada || !store || !wsr::is_utf8(ada->view()) || store->str().find("secret") != std::string::npos) return 1;

  // Links the server and both of its stores; an unusable port number is never listened on, as start() is not called.
  boost::asio::io_context io;
  wsr::net::ServerOptions options;
  options.id = *wsr::ServerId::make("web-1", "abc123");
  const wsr::net::Server server(options, [](auto& context, auto& answers, auto& listener) {
    return wsr::redis::make_backend(context, {}, answers, listener);
  });
  std::puts("found");
}
