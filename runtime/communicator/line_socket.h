#pragma once
#include <string>
#include <vector>

namespace pal {

/// A TCP connection that carries lines of text.
class LineSocket {
 public:
  LineSocket() = default;
  /// Takes over a connected socket.
  explicit LineSocket(int descriptor) : descriptor_(descriptor) {}
  ~LineSocket() { close(); }
  LineSocket(LineSocket&& other) noexcept;
  LineSocket& operator=(LineSocket&& other) noexcept;

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  void close();

  /// Sends a line, which holds no line end itself; waits a few seconds at most. Returns whether the
  /// connection took it.
  bool send(const std::string& line) const;
  /// Appends the lines that have arrived, without waiting. Returns false once the other side has
  /// closed the connection or is gone.
  bool receive(std::vector<std::string>& lines);
  /// The address of this side of the connection, as numbers: "10.0.0.3".
  std::string own_address() const;

 private:
  int descriptor_ = -1;
  std::string partial_;
};

/// Connects to a port of a machine, by name or address; waits `seconds` at most. The socket is not
/// open if nobody listens there; `reason` then says why. Throws environment if the name is not
/// known.
LineSocket connect_line(const std::string& host, int port, double seconds, std::string& reason);

/// A socket that takes connections.
class Listener {
 public:
  /// Listens at a port on all addresses of this machine; 0: any free one. Throws environment if the
  /// port is taken.
  explicit Listener(int port);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int descriptor() const { return descriptor_; }
  int port() const { return port_; }
  /// The connection that waits, if any.
  LineSocket accept() const;

 private:
  int descriptor_ = -1;
  int port_ = 0;
};

/// Addresses by which others may reach this machine, as numbers, those of the loopback last.
std::vector<std::string> own_addresses();
/// The name of this machine.
std::string host_name();

}  // namespace pal
