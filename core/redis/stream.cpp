#include "core/redis/stream.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>
#include <cassert>
#include <utility>

namespace wsr::redis {

std::shared_ptr<Stream> Stream::open(asio::io_context& io, const Address& address, asio::ssl::context* tls,
                                     std::chrono::milliseconds within, Events& events) {
  auto stream = std::make_shared<Stream>(io, address, events);
  stream->start(tls, within);
  return stream;
}

Stream::Stream(asio::io_context& io, const Address& address, Events& events)
    : io_(io), address_(address), events_(&events), resolver_(io), deadline_(io) {}

void Stream::start(asio::ssl::context* tls, std::chrono::milliseconds within) {
  const auto self = shared_from_this();
  if (address_.kind == Address::Kind::tls) {
    assert(tls != nullptr);
    tls_ = std::make_unique<TlsSocket>(io_, *tls);
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_verify_callback(asio::ssl::host_name_verification(address_.host));
    // Without SNI a proxy in front of several stores cannot tell which certificate to show.
    SSL_set_tlsext_host_name(tls_->native_handle(), address_.host.c_str());
  } else {
    plain_.emplace(io_);
  }
  deadline_.expires_after(within);
  deadline_.async_wait([self, within](error_code error) {
    if (!error) self->fail("no connection within " + std::to_string(within.count()) + " ms");
  });
  if (address_.kind == Address::Kind::unix_socket) {
    endpoints_.emplace_back(asio::local::stream_protocol::endpoint(address_.path));
    connect_next();
    return;
  }
  resolver_.async_resolve(address_.host, std::to_string(address_.port),
                          [self](error_code error, const asio::ip::tcp::resolver::results_type& found) {
                            if (self->events_ == nullptr) return;
                            if (error) return self->fail("cannot resolve its name: " + error.message());
                            for (const auto& entry : found) self->endpoints_.emplace_back(entry.endpoint());
                            self->connect_next();
                          });
}

void Stream::connect_next() {
  if (next_ == endpoints_.size()) return fail("cannot connect: " + last_error_);
  error_code ignored;
  socket().close(ignored);
  socket().async_connect(endpoints_[next_++], [self = shared_from_this()](error_code error) {
    if (self->events_ == nullptr) return;
    if (!error) return self->on_connected();
    self->last_error_ = error.message();
    self->connect_next();
  });
}

void Stream::on_connected() {
  error_code ignored;
  if (address_.kind != Address::Kind::unix_socket) {
    socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    // A peer that vanished without a word is found by the deadlines above us; this only frees the kernel's side.
    socket().set_option(asio::socket_base::keep_alive(true), ignored);
  }
  if (!tls_) return opened();
  tls_->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](error_code error) {
    if (self->events_ == nullptr) return;
    if (error) return self->fail("the TLS handshake failed: " + error.message());
    self->opened();
  });
}

void Stream::opened() {
  deadline_.cancel();
  read();
  events_->on_open();
}

void Stream::read() {
  const auto done = [self = shared_from_this()](error_code error, std::size_t bytes) {
    if (self->events_ == nullptr) return;
    if (error == asio::error::eof) return self->fail("it closed the connection");
    if (error) return self->fail("the connection broke: " + error.message());
    self->events_->on_data({self->input_.data(), bytes});
    if (self->events_ != nullptr) self->read();
  };
  if (tls_) {
    tls_->async_read_some(asio::buffer(input_), done);
  } else {
    plain_->async_read_some(asio::buffer(input_), done);
  }
}

void Stream::write(std::string& out) {
  assert(!is_writing_);
  if (events_ == nullptr) return;
  is_writing_ = true;
  writing_.clear();
  writing_.swap(out);
  const auto done = [self = shared_from_this()](error_code error, std::size_t) {
    self->is_writing_ = false;
    if (self->events_ == nullptr) return;
    if (error) return self->fail("the connection broke: " + error.message());
    self->events_->on_written();
  };
  if (tls_) {
    asio::async_write(*tls_, asio::buffer(writing_), done);
  } else {
    asio::async_write(*plain_, asio::buffer(writing_), done);
  }
}

void Stream::close() {
  events_ = nullptr;
  deadline_.cancel();
  resolver_.cancel();
  error_code ignored;
  socket().close(ignored);
}

void Stream::fail(const std::string& why) {
  if (events_ == nullptr) return;
  Events& events = *events_;
  close();
  events.on_failed(why);
}

}  // namespace wsr::redis
