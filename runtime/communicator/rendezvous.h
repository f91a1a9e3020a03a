#pragma once
#include <functional>
#include <string>

#include "runtime/communicator/line_socket.h"

namespace pal {

/// The file by which ranks find rank 0 where no address is given: it lies beside what the run
/// writes, named by the launcher's job, and is gone when all have arrived.
std::string rendezvous_file(const std::string& output, const std::string& job);

/// Writes the file: the addresses and the port where the hub listens. Throws environment.
void write_rendezvous(const std::string& path, const std::string& job, int port);

/// A connection to the hub of the run `job` at an address, or where the file says, tried until it is
/// there. Throws environment, saying what was tried last, after `seconds`, or if the address is not
/// known. Another hub, one that a stale file names, or another program is not taken.
LineSocket reach_hub(const std::string& address, int port, const std::string& job, double seconds);
LineSocket reach_hub(const std::string& file, const std::string& job, double seconds);

}  // namespace pal
