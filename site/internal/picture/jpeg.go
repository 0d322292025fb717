package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// JPEG markers.
const (
	markSOI  = 0xd8
	markEOI  = 0xd9
	markSOS  = 0xda
	markAPP0 = 0xe0
	markEXIF = 0xe1
	markICC  = 0xe2
	markAPPF = 0xef
	markAdob = 0xee
	markCOM  = 0xfe
)

// maxProfile is the maximum size of an ICC profile that is kept. Profiles of cameras and screens have some hundred bytes.
const maxProfile = 16 << 10

// readJPEG parses the segments of a JPEG. It drops everything after the end-of-image marker, such as the video of a "live" photo.
func (h *header) readJPEG(data []byte) error {
	out := bytes.NewBuffer(make([]byte, 0, len(data)))
	out.Write(data[:2])
	scans := 0
	for i := 2; ; {
		for i < len(data) && data[i] == 0xff && i+1 < len(data) && data[i+1] == 0xff {
			i++ // padding
		}
		if i+2 > len(data) {
			return errShort
		}
		mark := data[i+1]
		switch {
		case data[i] != 0xff:
			return errors.New("something stands between its parts")
		case mark == markEOI:
			out.Write(data[i : i+2])
			if h.width == 0 || scans == 0 {
				return errors.New("it has no picture in it")
			}
			h.clean = out.Bytes()
			return nil
		case mark >= 0xd0 && mark <= markSOI, mark == 0x01:
			i += 2
			continue
		}
		if i+4 > len(data) {
			return errShort
		}
		end := i + 2 + int(binary.BigEndian.Uint16(data[i+2:]))
		if end > len(data) || end < i+4 {
			return errShort
		}
		body := data[i+4 : end]
		keep := true
		switch {
		case mark == markEXIF && bytes.HasPrefix(body, []byte("Exif\x00\x00")):
			h.orientation = orientation(body[6:])
			keep = false
		case mark == markICC && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")):
			h.profile = append(h.profile, data[i:end]...)
		case mark == markAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")), mark == markAdob:
		case mark >= markAPP0 && mark <= markAPPF, mark == markCOM:
			keep = false
		case mark >= 0xc0 && mark <= 0xcf && mark != 0xc4 && mark != 0xc8 && mark != 0xcc:
			if err := h.frame(mark, body); err != nil {
				return err
			}
		case mark == markSOS:
			if scans++; scans > maxScans {
				return fmt.Errorf("it has more than %d scans", maxScans)
			}
			// Entropy-coded data follows. It ends at the next marker other than a restart marker or a stuffed zero byte.
			for end+1 < len(data) && (data[end] != 0xff || data[end+1] == 0 || data[end+1] >= 0xd0 && data[end+1] <= 0xd7) {
				end++
			}
			if end+1 >= len(data) {
				return errShort
			}
		}
		if keep {
			out.Write(data[i:end])
		}
		i = end
	}
}

// frame reads the size from a start-of-frame segment and estimates the memory for decoding.
func (h *header) frame(mark byte, body []byte) error {
	if h.width != 0 {
		return errors.New("it has two pictures in it")
	}
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return errShort
	}
	h.height, h.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	// Each component needs a byte for each of its samples; progressive decoding needs four more for the coefficients. Subsampled
	// components have fewer samples than pixels.
	samples, most := int64(0), int64(1)
	for c := range int(body[5]) {
		s := int64(body[7+3*c]>>4) * int64(body[7+3*c]&15)
		samples += s
		most = max(most, s)
	}
	h.perPixel = (samples + most - 1) / most
	if mark == 0xc2 {
		h.perPixel = (5*samples + most - 1) / most
	}
	h.perPixel = max(1, h.perPixel)
	if body[5] == 4 {
		h.perPixel += 4
	}
	h.lossy = true
	// Decoding converts CMYK to RGB, so a CMYK profile does not describe the result.
	if body[5] == 4 {
		h.profile = nil
	}
	return nil
}

// keptProfile returns the ICC profile that encoded files need, or nil for sRGB, which browsers assume by default.
func (h *header) keptProfile() []byte {
	if len(h.profile) > maxProfile || bytes.Contains(h.profile, []byte("sRGB")) || bytes.Contains(h.profile, []byte("s\x00R\x00G\x00B")) || bytes.Contains(h.profile, []byte("CMYK")) {
		return nil
	}
	return h.profile
}

// orientation reads the orientation tag from EXIF data. It returns 0 if there is none.
func orientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(tiff[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return 0
	}
	entries := int64(order.Uint16(tiff[at:]))
	for e := range entries {
		p := at + 2 + 12*e
		if p+12 > int64(len(tiff)) {
			return 0
		}
		if order.Uint16(tiff[p:]) == 0x0112 {
			if v := int(order.Uint16(tiff[p+8:])); v >= 1 && v <= 8 {
				return v
			}
			return 0
		}
	}
	return 0
}

// withOrientation inserts EXIF data that contains only the orientation.
func withOrientation(data []byte, orientation int) []byte {
	exif := []byte("\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00")
	exif[4+6+8+2+9] = byte(orientation)
	return bytes.Join([][]byte{data[:2], exif, data[2:]}, nil)
}
