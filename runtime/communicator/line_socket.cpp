#include "runtime/communicator/line_socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include "runtime/error.h"

namespace pal {
namespace {

constexpr int kSendMilliseconds = 5000;

using Clock = std::chrono::steady_clock;

int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

void prepare(int descriptor) {
  const int one = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

/// An address as numbers; empty for another family than the internet's.
std::string address_text(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address->sa_family == AF_INET)
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text.data(),
                text.size());
  else if (address->sa_family == AF_INET6)
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text.data(),
                text.size());
  return text.data();
}

/// Connects to one address; not open if that fails until `end`.
LineSocket connect_to(const addrinfo& target, Clock::time_point end, std::string& reason) {
  LineSocket socket(::socket(target.ai_family, SOCK_STREAM, 0));
  if (!socket.is_open()) {
    reason = std::strerror(errno);
    return {};
  }
  prepare(socket.descriptor());
  if (::connect(socket.descriptor(), target.ai_addr, target.ai_addrlen) == 0) return socket;
  if (errno == EINPROGRESS) {
    pollfd wanted{socket.descriptor(), POLLOUT, 0};
    if (::poll(&wanted, 1, milliseconds_until(end)) == 1) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error == 0) return socket;
      errno = error;
    } else {
      errno = ETIMEDOUT;
    }
  }
  reason = std::strerror(errno);
  return {};
}

}  // namespace

LineSocket::LineSocket(LineSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), partial_(std::move(other.partial_)) {}

LineSocket& LineSocket::operator=(LineSocket&& other) noexcept {
  close();
  descriptor_ = std::exchange(other.descriptor_, -1);
  partial_ = std::move(other.partial_);
  return *this;
}

void LineSocket::close() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

bool LineSocket::send(const std::string& line) const {
  const std::string text = line + '\n';
  const auto end = Clock::now() + std::chrono::milliseconds(kSendMilliseconds);
  for (size_t sent = 0; sent < text.size();) {
    if (descriptor_ < 0) return false;
    const ssize_t count =
        ::send(descriptor_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      sent += static_cast<size_t>(count);
    } else if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      pollfd wanted{descriptor_, POLLOUT, 0};
      if (::poll(&wanted, 1, milliseconds_until(end)) == 0) return false;
    } else {
      return false;
    }
  }
  return true;
}

bool LineSocket::receive(std::vector<std::string>& lines) {
  std::array<char, 65536> buffer;
  while (descriptor_ >= 0) {
    const ssize_t count = ::recv(descriptor_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    partial_.append(buffer.data(), static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t at = partial_.find('\n'); at != std::string::npos;
         at = partial_.find('\n', begin)) {
      lines.push_back(partial_.substr(begin, at - begin));
      begin = at + 1;
    }
    partial_.erase(0, begin);
  }
  return false;
}

std::string LineSocket::own_address() const {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return address_text(reinterpret_cast<const sockaddr*>(&address));
}

LineSocket connect_line(const std::string& host, int port, double seconds, std::string& reason) {
  const auto end = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1e3 * seconds));
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const auto look_up = [&](const std::string& name) {
    return ::getaddrinfo(name.c_str(), std::to_string(port).c_str(), &wanted, &found);
  };
  int status = look_up(host);
  // Containers without /etc/hosts do not know even that name.
  if (status != 0 && host == "localhost") status = look_up("127.0.0.1");
  if (status != 0)
    fail(ErrorKind::environment, "ranks: the name {} is not known here: {}", host,
         ::gai_strerror(status));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  LineSocket socket;
  for (const addrinfo* at = found; at != nullptr && !socket.is_open(); at = at->ai_next)
    socket = connect_to(*at, end, reason);
  return socket;
}

Listener::Listener(int port) {
  // One that takes connections of both kinds of addresses, or of the older kind alone.
  for (const int family : {AF_INET6, AF_INET}) {
    descriptor_ = ::socket(family, SOCK_STREAM, 0);
    if (descriptor_ < 0) continue;
    prepare(descriptor_);
    const int one = 1;
    const int zero = 0;
    ::setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in6 both{};
    sockaddr_in old{};
    sockaddr* address = reinterpret_cast<sockaddr*>(&old);
    socklen_t size = sizeof old;
    old.sin_family = AF_INET;
    old.sin_port = htons(static_cast<uint16_t>(port));
    if (family == AF_INET6) {
      ::setsockopt(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
      both.sin6_family = AF_INET6;
      both.sin6_port = htons(static_cast<uint16_t>(port));
      address = reinterpret_cast<sockaddr*>(&both);
      size = sizeof both;
    }
    if (::bind(descriptor_, address, size) == 0 && ::listen(descriptor_, SOMAXCONN) == 0) {
      sockaddr_in6 bound{};
      socklen_t bound_size = sizeof bound;
      ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&bound), &bound_size);
      // Of both kinds the port stands in the same place.
      port_ = ntohs(bound.sin6_port);
      return;
    }
    const int error = errno;
    ::close(std::exchange(descriptor_, -1));
    if (error == EADDRINUSE || error == EACCES)
      fail(ErrorKind::environment,
           "ranks: port {} of this machine cannot be used: {}; set MASTER_PORT to another one",
           port, std::strerror(error));
  }
  fail(ErrorKind::environment, "ranks: cannot listen at port {}: {}", port, std::strerror(errno));
}

Listener::~Listener() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

LineSocket Listener::accept() const {
  LineSocket socket(::accept(descriptor_, nullptr, nullptr));
  if (socket.is_open()) prepare(socket.descriptor());
  return socket;
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> addresses;
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) == 0) {
    for (const ifaddrs* at = found; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
      const bool loopback = (at->ifa_flags & IFF_LOOPBACK) != 0;
      // Addresses of a link alone mean nothing without its name.
      if (at->ifa_addr->sa_family == AF_INET && !loopback)
        addresses.push_back(address_text(at->ifa_addr));
    }
    ::freeifaddrs(found);
  }
  addresses.emplace_back("127.0.0.1");
  return addresses;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown";
  return name.data();
}

}  // namespace pal
