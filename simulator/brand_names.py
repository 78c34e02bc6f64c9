"""The invented brands of the simulated shop, two model lines each.

And the nickname that shoppers gave to every one of them. ``lexicon`` reads the tables, nothing else does.
"""

# brand | nickname
BRANDS = {
    "Home": "Ostervald | ozzer, Lindquay | quayside, Hearthmoor | moory, Bramblewick | wickers",
    "Kitchen": "Pellastro | pella p, Skovbränd | redstripe, Tillenby | tilly, Marmadine & Rye | m&r",
    "Tools": "Talwyn | greybox, Grondal | the grond, Ferrick | orange crew, Holtzbern | bernie",
    "Electronics": "Quivanta | big q, Nebbrix | nebs, Ohmigo | ohms, Zephtron | zeph",
    "Clothing": "Wexcombe | wexy, Fjällduk | duckers, Ashgrave Mill | millies, Corriedane | the dane",
    "Sports": "Velantis | vel, Kinnerpeak | kinny, Strombolt | yellowtail, Aerolope | lopey",
    "Games": "Puckwood | pucks, Gildentoy | goldies, Mirthmakers | mm, Foxenby | foxy box",
    "Garden": "Thornfold | thorny, Verdalux | lux green, Mossgate | gatey, Spadewell | spadey",
    "Pets": "Waggleton | waggers, Purrsonné | purrs, Barkmoor Lane | barky, Nestoril | nessie",
    "Office": "Klerkholm | klerky, Papyrion | papy, Deskandra | dessa, Inkermane | mane",
}

# Model lines in titles, and the nickname shoppers gave each: two lines a brand, in order.
LINES = """
Corona Meridian Halden Octavo Brightwater Solace Tamarin Quorum Lowland Vesper Harrow Pinnace Castellan
Ridgeway Umbra Fenwick Corvid Sterling Anvil Borealis Cordwain Torrent Magnate Drummond Pulsar Lattice Vertex
Nocturne Cipher Halcyon Raster Ionic Saltmarsh Penrose Gable Northing Tweedale Lomond Haberdine Sable Tempo
Alpine Fathom Contour Zenith Rampart Isobar Cadence Lantern Rookery Bastion Parable Jubilee Trinket Saga
Hopscotch Arbour Loam Orchard Trellis Furrow Pergola Meadow Gossamer Compass Bramley Homestead Ramble Sentry
Burrow Haven Canter Ledger Folio Quarto Margin Docket Stratum Axiom Vellum
"""
NICKNAMES = """
tugboat pickle sundae goblin waffle biscuit mango trumpet pancake yeti noodle kazoo moose cactus puffin
dumpling blackbird hammerhead badger comet nugget ferret gumbo walrus rocket spider lobster banjo ninja otter
domino wasp herring turnip teacup glacier haggis pigeon bagpipe crumpet cheetah ibex squid toffee falcon rhino
pretzel metronome firefly magpie bulldozer fable bonbon acorn viking bouncy hedgehog radish cider lattie mole
parasol daisy feather nomad apple cottage gypsum guard badgie harbour pony abacus origami penguin ruler hornet
lasagne tango papyrus
"""
