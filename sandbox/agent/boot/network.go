package boot

import (
	"net"
)

// outerInterface returns the first non-loopback interface with an IPv4 address, or "".
func outerInterface() (name, ip string) {
	list, err := net.Interfaces()
	if err != nil {
		return "", ""
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
				return i.Name, n.IP.String()
			}
		}
	}
	return "", ""
}
