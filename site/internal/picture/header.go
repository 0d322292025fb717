package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path"
	"strings"

	"golang.org/x/image/webp"

	"github.com/labd-dev/labd/internal/source"
)

// header is what can be read from a file without decoding its pixels.
type header struct {
	format        string
	width, height int
	animated      bool
	orientation   int    // from EXIF, 1 to 8; 0 if there is none
	perPixel      int64  // upper bound of the bytes that decoding needs for a pixel
	lossy         bool   // whether the format is lossy, as JPEG is
	profile       []byte // ICC profile of a JPEG, as whole segments
	clean         []byte // the file without metadata
}

var errShort = errors.New("it ends too early")

// inspect reads the header of a file. It adds mistakes to errs and returns false if there are any.
func inspect(file string, data []byte, errs *source.List) (*header, bool) {
	complain := func(format string, args ...any) (*header, bool) {
		errs.Add(&source.Error{File: file, Msg: fmt.Sprintf(format, args...)})
		return nil, false
	}
	if len(data) > MaxFile {
		return complain("an image may have at most %d MiB; this one has %d", MaxFile>>20, len(data)>>20)
	}
	claimed, format := formatOf(file), sniff(data)
	switch {
	case format == "" && len(data) == 0:
		return complain("this file is empty; save the image again")
	case format == "":
		return complain("this is no image: it begins with %.12q; save it again as PNG, JPEG, GIF, WebP or SVG", data[:min(len(data), 12)])
	case format != claimed:
		base := path.Base(file)
		return complain("the name says %s, but this is a %s image; call it %s%s",
			strings.TrimPrefix(path.Ext(file), "."), names[format], strings.TrimSuffix(base, path.Ext(base)), endings[format][0])
	}
	h := &header{format: format}
	var err error
	switch format {
	case "png":
		err = h.readPNG(data)
	case "jpeg":
		err = h.readJPEG(data)
	case "gif":
		err = h.readGIF(data)
	case "webp":
		err = h.readWebP(data)
	case "svg":
		return h, true
	}
	switch {
	case err != nil:
		return complain("this is not a whole %s image: %v; save it again", names[format], err)
	case h.width <= 0 || h.height <= 0:
		return complain("this image has no pixels; save it again")
	case h.width > maxSide || h.height > maxSide || int64(h.width)*int64(h.height) > maxPixels:
		return complain("an image of %d x %d pixels is too large; make it smaller, at most %d million pixels and %d in each direction",
			h.width, h.height, maxPixels/1_000_000, maxSide)
	case !h.animated && h.memory() > maxDecode:
		return complain("an image of %d x %d pixels in this form needs %d MiB to be read; make it smaller", h.width, h.height, h.memory()>>20)
	}
	return h, true
}

// memory returns an upper bound of the bytes that decoding and encoding need.
func (h *header) memory() int64 {
	return int64(h.width)*int64(h.height)*h.perPixel + 56*min(int64(h.width)*int64(h.height), maxWebP)
}

func (h *header) turned() bool { return h.orientation >= 5 }

func (h *header) decode(data []byte) (image.Image, error) {
	r := bytes.NewReader(data)
	switch h.format {
	case "png":
		return png.Decode(r)
	case "jpeg":
		return jpeg.Decode(r)
	case "gif":
		img, err := gif.Decode(r)
		if err != nil || img.Bounds() == image.Rect(0, 0, h.width, h.height) {
			return img, err
		}
		// The frame may cover only a part of the canvas.
		whole := image.NewNRGBA(image.Rect(0, 0, h.width, h.height))
		draw.Draw(whole, img.Bounds(), img, img.Bounds().Min, draw.Src)
		return whole, nil
	case "webp":
		return webp.Decode(r)
	}
	return nil, fmt.Errorf("no decoder for %s", h.format)
}

// pngKept lists the PNG chunks that affect rendering or animation. All others are metadata and are removed.
const pngKept = " IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP sBIT bKGD pHYs cICP acTL fcTL fdAT "

func (h *header) readPNG(data []byte) error {
	out := bytes.NewBuffer(make([]byte, 0, len(data)))
	out.Write(data[:8])
	for rest := data[8:]; ; {
		if len(rest) < 12 {
			return errShort
		}
		n := int64(binary.BigEndian.Uint32(rest))
		name := string(rest[4:8])
		if n+12 > int64(len(rest)) {
			return errShort
		}
		body := rest[8 : 8+n]
		if h.width == 0 {
			if name != "IHDR" || n != 13 {
				return errors.New("it does not begin with its size")
			}
			h.width, h.height = bounded(binary.BigEndian.Uint32(body)), bounded(binary.BigEndian.Uint32(body[4:]))
			channels := map[byte]int64{0: 1, 2: 4, 3: 1, 4: 4, 6: 4}[body[9]]
			h.perPixel = channels
			if body[8] == 16 {
				h.perPixel *= 2
			}
			if h.width == 0 || h.height == 0 {
				return nil
			}
		}
		switch name {
		case "acTL":
			h.animated = true
		case "eXIf":
			h.orientation = orientation(body)
		}
		if strings.Contains(pngKept, " "+name+" ") {
			out.Write(rest[:12+n])
		}
		rest = rest[12+n:]
		if name == "IEND" {
			h.clean = out.Bytes()
			return nil
		}
	}
}

// bounded limits a size from a file to a value that does not overflow int on any platform. It is still above maxSide.
func bounded(n uint32) int { return int(min(n, 1<<30)) }

func (h *header) readGIF(data []byte) error {
	if len(data) < 13 {
		return errShort
	}
	h.width, h.height = int(binary.LittleEndian.Uint16(data[6:])), int(binary.LittleEndian.Uint16(data[8:]))
	h.perPixel = 5
	out := bytes.NewBuffer(make([]byte, 0, len(data)))
	rest := data
	take := func(n int, keep bool) bool {
		if n > len(rest) {
			return false
		}
		if keep {
			out.Write(rest[:n])
		}
		rest = rest[n:]
		return true
	}
	blocks := func(keep bool) bool { // reads data sub-blocks, each with a length byte, up to the empty one
		for {
			if len(rest) == 0 {
				return false
			}
			n := int(rest[0])
			if !take(1+n, keep) {
				return false
			}
			if n == 0 {
				return true
			}
		}
	}
	table := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (1 + flags&7)
	}
	if !take(13+table(data[10]), true) {
		return errShort
	}
	for frames := 0; len(rest) > 0; {
		switch rest[0] {
		case 0x3b:
			out.WriteByte(0x3b)
			h.clean, h.animated = out.Bytes(), frames > 1
			if frames == 0 {
				return errors.New("it has no picture in it")
			}
			return nil
		case 0x2c:
			if len(rest) < 10 || !take(10+table(rest[9])+1, true) || !blocks(true) {
				return errShort
			}
			frames++
		case 0x21:
			if len(rest) < 2 {
				return errShort
			}
			// Keep frame timing and the loop count. Drop comments and other application extensions.
			keep := rest[1] == 0xf9 || rest[1] == 0xff && len(rest) > 14 && (string(rest[3:14]) == "NETSCAPE2.0" || string(rest[3:14]) == "ANIMEXTS1.0")
			if !take(2, keep) || !blocks(keep) {
				return errShort
			}
		default:
			return errors.New("it has something in it that is not of a GIF")
		}
	}
	return errShort
}

func (h *header) readWebP(data []byte) error {
	size := int64(binary.LittleEndian.Uint32(data[4:])) + 8
	if size > int64(len(data)) {
		return errShort
	}
	out := bytes.NewBuffer(make([]byte, 0, size))
	out.Write(data[:12])
	flags := -1 // offset in out of the VP8X flags
	pictures := 0
	for rest := data[12:size]; len(rest) > 0; {
		if len(rest) < 8 {
			return errShort
		}
		name := string(rest[:4])
		n := int64(binary.LittleEndian.Uint32(rest[4:]))
		total := 8 + n + n&1
		if 8+n > int64(len(rest)) {
			return errShort
		}
		total = min(total, int64(len(rest)))
		body := rest[8 : 8+n]
		switch name {
		case "VP8X":
			if n < 10 {
				return errShort
			}
			flags = out.Len() + 8
			h.animated = body[0]&2 != 0
			h.width, h.height = 1+(int(body[4])|int(body[5])<<8|int(body[6])<<16), 1+(int(body[7])|int(body[8])<<8|int(body[9])<<16)
		case "VP8 ", "VP8L":
			h.lossy = name == "VP8 "
			h.perPixel = 8
			pictures++
		case "ANMF":
			pictures++
		case "EXIF":
			h.orientation = orientation(bytes.TrimPrefix(body, []byte("Exif\x00\x00")))
		}
		switch name {
		case "VP8X", "VP8 ", "VP8L", "ALPH", "ANIM", "ANMF", "ICCP":
			out.Write(rest[:total])
			if total%2 != 0 {
				out.WriteByte(0)
			}
		}
		rest = rest[total:]
	}
	if pictures == 0 {
		return errors.New("it has no picture in it")
	}
	h.clean = out.Bytes()
	if flags >= 0 {
		h.clean[flags] &^= 0x0c // clear the flags for EXIF and XMP
	}
	binary.LittleEndian.PutUint32(h.clean[4:], uint32(len(h.clean)-8))
	if h.animated {
		return nil
	}
	config, err := webp.DecodeConfig(bytes.NewReader(data))
	h.width, h.height = config.Width, config.Height
	return err
}
